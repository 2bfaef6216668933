"""The built-in solver: single-edit fixes from a catalogue of fix patterns, with no model."""
