"""Edits to files: search/replace blocks, file changes and unified diffs, and the ways between them."""
