"""The families of fix patterns, one module each; `catalogue` puts them into one table."""
