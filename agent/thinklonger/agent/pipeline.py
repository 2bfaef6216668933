"""The two jobs, resolve and localize, as streams of events."""
