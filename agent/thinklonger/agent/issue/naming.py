"""Names in text and in code: paths, dotted names, identifiers, tests; borders are ASCII, so CJK text may touch them."""

import builtins
import keyword
import re
from collections.abc import Iterable, Iterator

from thinklonger.agent.issue.clues import CodeBlock, PathClue

_URL = re.compile(r"(?:https?|ftp|file)://[^\s<>\"'`)\]]{1,2000}|www\.[^\s<>\"'`)\]]{1,500}")
_PERMALINK = re.compile(
    r"/(?:blob|tree|src|raw)/[^/\s]{1,200}/([^#?\s]{1,500})(?:[^#]{0,100}#L(\d{1,9})(?:-L?(\d{1,9}))?)?"
)
_TOKEN = re.compile(r"[A-Za-z0-9_.@~+:/\\-]+")
_PLACE = re.compile(r"(.{1,500}?\.(?:pyi?|pyx|cfg|toml|ini|rst|md|txt|json|ya?ml))(?:::?(.{0,200}))?$")
_LINE_WORDS = re.compile(r"[\"'`]?,? (?:on |at )?lines? (\d{1,9})", re.IGNORECASE)
_NAME = re.compile(r"(?<![A-Za-z0-9_.$@/\\-])(@?[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(\(?)")
_CAMEL = re.compile(r"[a-z0-9][A-Z]|[A-Z][A-Z][a-z]")
_CODE = re.compile(r"[A-Z]{1,6}\d{1,5}$")
_SPAN = re.compile(r"``([^`\n]{1,300})``|`([^`\n]{1,300})`")
_QUOTED = re.compile(
    "(?<![A-Za-z0-9_])(?:\"([^\"\\n]{2,200})\"|'([^'\\n]{2,200})'|\u201c([^\u201d\\n]{2,200})\u201d)(?![A-Za-z0-9_])"
)
_TEST_ID = re.compile(r"[A-Za-z0-9_./\\-]{1,300}\.py::[A-Za-z0-9_:]{1,200}(?:\[[^\]\s]{1,200}\])?")
_IMPORT = re.compile(
    r"(?:>>> ?|In \[\d+\]: ?|\s)*(?:from\s+(\.*[\w.]+)\s+import\s+\(?([\w ,*]{1,400})|import\s+([\w., ]{1,400}))"
)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,1000}>")
_IMAGE_OR_LINK = re.compile(r"!\[[^\]\n]{0,300}\]\([^)\n]{0,1000}\)|\[([^\]\n]{1,300})\]\([^)\n]{0,1000}\)")
_PYTHON_WORDS = frozenset((*keyword.kwlist, "self", "cls", *(name for name in dir(builtins) if name.islower())))


def read_links(line: str) -> Iterator[PathClue]:
    """The repository files that a line's links point to (a forge's permanent links, with their lines)."""
    for url in _URL.finditer(line):
        found = _PERMALINK.search(url[0])
        if found is not None:
            start = int(found[2]) if found[2] else None
            yield PathClue(found[1].rstrip("/"), start, int(found[3]) if found[3] else start)


def without_links(line: str) -> str:
    """The line without images, addresses and HTML tags; of a link its words remain."""
    if "](" in line:
        line = _IMAGE_OR_LINK.sub(lambda found: found[1] or " ", line)
    if "://" in line or "www." in line:
        line = _URL.sub(" ", line)
    return _TAG.sub(" ", line) if "<" in line else line


def read_paths(line: str) -> Iterator[PathClue]:
    """Files and folders that a line names: `pkg/mod.py`, `mod.py:12`, `mod.py, line 12`, `pkg/folder`."""
    if "." not in line and "/" not in line and "\\" not in line:
        return
    for token in _TOKEN.finditer(line):
        word = token[0].strip(".:@~+-").replace("\\", "/")
        found = _PLACE.match(word)
        if found is not None:
            path = found[1]
            rest = (found[2] or "").partition(":")[0]
            number = int(rest) if rest.isdigit() else None
            if number is None and (said := _LINE_WORDS.match(line, token.end())) is not None:
                number = int(said[1])
            yield PathClue(path.lstrip("/"), number, number)
        elif "/" in word.strip("/") and ":" not in word and not word[0].isdigit():
            yield PathClue(word.strip("/"))


def read_names(text: str) -> Iterator[tuple[str, bool]]:
    """Every name in the text, bare or dotted, with whether it is called there."""
    for found in _NAME.finditer(text):
        yield found[1].lstrip("@"), bool(found[2])


def looks_like_code(name: str, *, called: bool) -> bool:
    """Whether a word in prose can only be a name: snake_case, CamelCase, a call, a code such as `E501`."""
    if name in _PYTHON_WORDS:
        return False
    return called or "_" in name.strip("_") or name.startswith("__") or bool(_CAMEL.search(name) or _CODE.match(name))


def is_dotted_name(name: str) -> bool:
    """Whether a dotted word is a name rather than an abbreviation or a host: two parts of two letters or more."""
    parts = name.split(".")
    return len(parts) > 1 and max(map(len, parts)) > 2 and parts[-1] not in {"com", "org", "io", "net", "html", "png"}  # noqa: PLR2004 - `e.g`, `i.e`


def spans(line: str) -> Iterator[str]:
    """The inline code of a line of prose."""
    if "`" in line:
        for found in _SPAN.finditer(line):
            yield (found[1] or found[2]).strip()


def quoted(line: str) -> Iterator[str]:
    """The quoted strings of a line."""
    for found in _QUOTED.finditer(line):
        yield (found[1] or found[2] or found[3]).strip()


def read_tests(text: str) -> Iterator[str]:
    """Pytest ids, then names of test functions, classes and files."""
    for found in _TEST_ID.finditer(text):
        yield found[0]
    for name, _ in read_names(text):
        last = name.rpartition(".")[2]
        if last.startswith("test_") or (name.startswith("Test") and _CAMEL.search(name) is not None):
            yield name


def read_code(block: CodeBlock) -> Iterator[str]:
    """The names that code imports (whole dotted), calls, or reads from an object; in order, with repeats."""
    for raw in block.text.splitlines():
        line = raw[:2000].partition(" #")[0]
        found = _IMPORT.match(line) if "import" in line else None
        if found is not None:
            yield from _imported(found)
            continue
        for name, called in read_names(line):
            if called or "." in name:
                if name.partition(".")[0] not in _PYTHON_WORDS or "." in name:
                    yield name.removeprefix("self.").removeprefix("cls.")
            elif looks_like_code(name, called=False):
                yield name


def _imported(found: re.Match[str]) -> Iterator[str]:
    """The dotted names that an import statement brings in."""
    module, names, modules = found[1], found[2], found[3]
    for name in _listed(names if module else modules):
        yield f"{module}.{name}".strip(".") if module else name
    if module:
        yield module.strip(".")


def _listed(text: str) -> Iterable[str]:
    """The names of a comma-separated list, without their `as`."""
    return (word[0] for part in text.split(",") if (word := part.split()) and word[0] != "*")
