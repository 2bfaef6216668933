"""What runs inside the sandbox, in the repository's own interpreter: standard library only, Python 3.8 or later.

`main.py` is the entry; nothing here is imported by the agent itself, the files are sent as text.
"""
