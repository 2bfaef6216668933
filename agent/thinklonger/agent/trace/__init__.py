"""The run record: typed events, appended one a line, replayed by every view."""
