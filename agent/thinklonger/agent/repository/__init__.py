"""A repository at a commit plus working-tree changes: files, symbols, imports, references, terms, cached by content."""
