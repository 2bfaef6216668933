"""Search as functions of functions: what expands and what scores are arguments."""
