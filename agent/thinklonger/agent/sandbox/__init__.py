"""Where untrusted code runs: bubblewrap over an overlay, or nothing when asked for by name."""
