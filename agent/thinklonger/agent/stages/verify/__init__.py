"""The verify stage: the reproduction, what looks like cheating, how candidates compare, and what is proved."""
