"""What runs inside the sandbox, on the repository's own interpreter: standard library only, Python 3.8 or newer.

The launcher sends these files as a package of their own (`thinklonger_payload`), so they import each other relatively.
"""
