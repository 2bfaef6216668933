"""What an issue's text names, as frozen nouns: paths, names, code, tracebacks, tests and examples, as written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathClue:
    """A file or folder named in the text, as written there, `/`-separated; lines where the text says some."""

    path: str
    line: int | None = None
    end_line: int | None = None


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced or indented block of code; `language` is the fence's word in lower case, perhaps empty."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """A doctest-like example: what was typed, and what stands below it as its output."""

    source: str
    expected: str


@dataclass(frozen=True, slots=True)
class FrameClue:
    """One frame of a traceback, as written; `function` and `code` are empty where the format doesn't say."""

    path: str
    line: int
    function: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class TracebackClue:
    """A traceback in Python's, pytest's or IPython's format, or an error line alone (then without frames).

    Frames are outermost first; `exception` is the type's name as written, `message` its text (first line).
    """

    frames: tuple[FrameClue, ...]
    exception: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Clues:
    """All that an issue's text names, each in order of first appearance and without repeats.

    `title` is the first line that says something; `prose` the words outside of code, without links, comments, check
    lists and a template's own words. `identifiers` are bare names that look like code in title, prose and inline
    code, `dotted` those with dots in them; `code_names` the names (bare or dotted) that blocks of code import, call
    or read from an object. `quotes` are inline code spans and quoted strings as written; `tests` pytest ids and
    names of test functions and files.
    """

    title: str = ""
    prose: str = ""
    paths: tuple[PathClue, ...] = ()
    dotted: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    code_names: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    blocks: tuple[CodeBlock, ...] = ()
    tracebacks: tuple[TracebackClue, ...] = ()
    tests: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
