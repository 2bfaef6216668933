"""Python that somebody else wrote, parsed without a word on the terminal."""

import ast
import warnings


def parse(source: str | bytes) -> ast.Module:
    """The tree; raises SyntaxError, ValueError, RecursionError or MemoryError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def parsed(source: str | bytes) -> ast.Module | None:
    """The tree; None where it is no valid Python, or too deep."""
    try:
        return parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
