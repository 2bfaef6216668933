"""The stages of a developer's work, independent of each other: understand, localize, patch, verify."""
