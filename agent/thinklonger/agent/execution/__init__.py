"""Runs a repository's tests inside a sandbox and says what they prove."""
