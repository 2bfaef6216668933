"""The agent: from an issue and a repository to ranked faults and proved patches; no editor, no training inside."""

__version__ = "0.1.0"
