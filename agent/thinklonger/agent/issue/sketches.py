"""What an issue says should be seen: code that somebody ran, and what it raised, gave, or should have given.

Nothing is guessed: a sketch is made only where the text itself says which of its values is wrong or which is right.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from thinklonger.agent.issue.clues import Clues, CodeBlock
from thinklonger.agent.issue.examples import read_examples

_PYTHON = frozenset({"", "py", "python", "python3", "pycon", "pytb", "ipython", "doctest"})
_ERROR = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Exit|Interrupt|Iteration))(?:: ?(.*))?$")
_EXPECTED = re.compile(
    r"(?i)\b(?:expect(?:ed|s|ing)?|should|correct(?:ly)?|desired|want(?:ed)?|supposed)\b|期望|预期|应该|应为"
)
_ACTUAL = re.compile(
    r"(?i)\b(?:actual(?:ly)?|current(?:ly)?|observed|got|instead|wrong(?:ly)?|incorrect(?:ly)?|returns?|gives?|bug)\b"
    r"|实际|目前|却|错误"
)
_VALUE = (
    r"(`[^`\n]{1,300}`|\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'|\[[^\n]{0,300}?\]|\{[^\n]{0,300}?\}"
    r"|\([^\n]{0,200}?\)|-?\d[\w.+-]*|True|False|None)"
)
_GIVES = r"(?:returns?|gives?|yields?|produces?|evaluates\s+to|results?\s+in|is|==|=>|→|->)"
_SHOULD = (
    r"(?:should(?:\s+\w+)?\s+(?:be|return|give|yield|produce)|(?:is\s+)?expected(?:\s+(?:to\s+(?:be|return|give)|was|is))?"
    r"|instead\s+of(?P<swap>)|rather\s+than(?P<swap2>)|must\s+be)"
)
_SAID = re.compile(rf"{_GIVES}:?\s+{_VALUE}(?:[^\n`]{{0,60}}?){_SHOULD}:?\s+{_VALUE}")
_ONLY_SHOULD = re.compile(r"^[\s,]*should\s+(?:be|return|give|yield|produce):?\s+" + _VALUE)
_BUT_GIVES = re.compile(rf"^[^\n`]{{0,40}}?\b(?:but|and|it)\s+(?:it\s+)?(?:{_GIVES}|got):?\s+" + _VALUE)
_GOT = re.compile(
    rf"(?i)expected(?:\s+\w+)?:?\s+{_VALUE}(?:[^\n`]{{0,30}}?)(?:got|actual(?:ly)?(?:\s+\w+)?|but\s+(?:got|was|is)):?\s+{_VALUE}"
)
_CALL = re.compile(r"`+([^`\n]{3,300})`+|(?<![\w.])((?:[A-Za-z_]\w{0,60}\.){0,6}[A-Za-z_]\w{0,60}\()")
_COMMENT = re.compile(r"#[^\n]{0,40}?(?:expected|should\s+(?:be|return|give))\s*:?\s*(?P<value>.+)$")
_ALONE = re.compile(
    r"(?im)^\W*(?:it\s+)?(?:expected(?:\s+(?:output|result|value|behaviou?r))?|should\s+(?:be|return|give))\W{1,6}"
    + _VALUE
    + r"\W*$"
)
_MOST = 12
_MOST_CALLS = 400
_LONGEST_CALL = 300


@dataclass(frozen=True, slots=True)
class Sketch:
    """Code of the issue: `program` runs first; then, if there is one, `expression` is what it is about.

    On the base it raises `exception` (with `message`), or gives `actual`; it should give `expected`. Each is a text,
    empty where the issue doesn't say; a sketch has an exception or an expected value.
    """

    program: str
    expression: str = ""
    exception: str = ""
    message: str = ""
    actual: str = ""
    expected: str = ""


def read_sketches(text: str, clues: Clues) -> tuple[Sketch, ...]:
    """All that the issue shows to be run and says how it ends, the surest first."""
    sessions = [sketch for block in _sessions(clues) for sketch in _session(block, text, clues)]
    sketches = (*sessions, *_said(clues, sessions), *_raising(clues))
    return tuple(dict.fromkeys(sketch for sketch in sketches if _runs(sketch)))[:_MOST]


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _sessions(clues: Clues) -> Iterator[CodeBlock]:
    """Blocks with prompts; examples in prose make one of their own."""
    found = [block for block in clues.blocks if ">>>" in block.text or "In [" in block.text]
    yield from found
    if not found and clues.examples:
        lines = [line for one in clues.examples for line in (_prompted(one.source), one.expected, "") if line]
        yield CodeBlock("pycon", "\n".join(lines))


def _prompted(source: str) -> str:
    first, *rest = source.split("\n")
    return "\n".join((f">>> {first}", *(f"... {line}" for line in rest)))


def _session(block: CodeBlock, text: str, clues: Clues) -> Iterator[Sketch]:
    """The examples of a session that end in an exception or in a value that the text calls right or wrong."""
    before = _earlier(block, clues)
    role = _role_before(block, text)
    for example in read_examples((*_joined(block.text), "")):
        source, noted = _without_note(example.source)
        program = before
        error = next((found for line in reversed(example.expected.split("\n")) if (found := _ERROR.match(line))), None)
        is_value = _is_expression(source) and not source.lstrip().startswith("print(")
        if error is not None and ("Traceback" in example.expected or "\n" not in example.expected):
            yield Sketch(program, source, exception=error[1], message=(error[2] or "").strip())
        elif is_value and noted:
            yield Sketch(program, source, actual=example.expected, expected=noted)
        elif is_value and example.expected and role == "expected":
            yield Sketch(program, source, expected=example.expected)
        elif is_value and example.expected and role != "expected" and (wanted := _wanted(example.expected, text)):
            yield Sketch(program, source, actual=example.expected, expected=wanted)
        before = "\n".join(part for part in (before, source) if part and error is None) or before


def _joined(text: str) -> list[str]:
    """The lines of a session; a traceback's blank lines and the output of one prompt stay together."""
    lines = text.split("\n")
    return [line for number, line in enumerate(lines) if line.strip() or _prompt_follows(lines, number)]


def _prompt_follows(lines: Sequence[str], number: int) -> bool:
    following = next((line for line in lines[number + 1 :] if line.strip()), ">>>")
    return following.lstrip().startswith((">>>", "In ["))


def _without_note(source: str) -> tuple[str, str]:
    """The code without its last line's comment, and the value that this comment says should be."""
    found = _COMMENT.search(source.rsplit("\n", maxsplit=1)[-1])
    if found is None or not _is_value(found["value"]):
        return source, ""
    return source[: source.rindex("#")].rstrip(), found["value"].strip().strip("`")


def _role_before(block: CodeBlock, text: str) -> str:
    """Whether the words right before a block call it expected, or actual; empty where they say neither, or both."""
    first = next((line for line in block.text.split("\n") if line.strip()), "")
    at = text.find(first)
    lead = [
        line for line in text[: max(at, 0)].split("\n") if line.strip() and not line.strip().startswith(("```", "~~~"))
    ]
    words = lead[-1] if lead else ""
    expected, actual = _EXPECTED.search(words) is not None, _ACTUAL.search(words) is not None
    if expected is actual:
        return ""
    return "expected" if expected else "actual"


def _wanted(actual: str, text: str) -> str:
    """The value that the text says should stand in this one's place."""
    for pattern, order in ((_SAID, (1, -1)), (_GOT, (2, 1))):
        for found in pattern.finditer(text):
            groups = [group for group in found.groups() if group]
            if len(groups) < 2:  # noqa: PLR2004 (two values)
                continue
            seen, right = (groups[0], groups[-1]) if order == (1, -1) else (groups[1], groups[0])
            if pattern is _SAID and _swapped(found):
                seen, right = right, seen
            if _bare(seen) == actual.strip():
                return _bare(right)
    alone = _ALONE.search(text)
    return _bare(alone[1]) if alone is not None and _bare(alone[1]) != actual.strip() else ""


def _swapped(found: re.Match[str]) -> bool:
    """Whether the words between are such that the first value is the right one."""
    return found["swap"] is not None or found["swap2"] is not None


# ── prose ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _said(clues: Clues, known: Sequence[Sketch]) -> Iterator[Sketch]:
    """Sentences that give an expression, what it gives and what it should give."""
    program = "\n".join(block.text for block in clues.blocks if _is_program(block))
    done = {sketch.expression for sketch in known}
    for expression, rest in _calls(clues.prose):
        if expression in done or not _is_expression(expression) or "(" not in expression:
            continue
        comparison = _compared(expression)
        if comparison is not None and _GOT.match(rest.lstrip(" .,;")) is None:
            left, shown = comparison
            should = re.match(r"[^\n`]{0,60}?(?:should\s+be|expected)\s+" + _VALUE, rest)
            if should is not None and _is_value(_bare(should[1])):
                yield Sketch(program, left, actual=shown, expected=_bare(should[1]))
            continue
        found = _SAID.match(rest.lstrip(" ,"))
        if found is not None and not _swapped(found):
            actual, expected = _bare(found[1]), _bare(found.group(found.lastindex or 1))
            if _is_value(actual) and _is_value(expected) and actual != expected:
                yield Sketch(program, expression, actual=actual, expected=expected)
            continue
        should = _ONLY_SHOULD.match(rest)
        if should is not None and _is_value(_bare(should[1])):
            but = _BUT_GIVES.match(rest[should.end() :])
            actual = _bare(but[1]) if but is not None and _is_value(_bare(but[1])) else ""
            yield Sketch(program, expression, actual=actual, expected=_bare(should[1]))


def _calls(prose: str) -> Iterator[tuple[str, str]]:
    """What may be an expression, in inline code or as a bare call, and the words that follow it."""
    for call in islice(_CALL.finditer(prose), _MOST_CALLS):
        end = call.end() if call[1] else _closing(prose, call.end())
        if end:
            expression = (call[1] or prose[call.start() : end]).strip()
            yield expression, prose[end : end + 400].split("\n\n", maxsplit=1)[0].replace("\n", " ")


def _closing(text: str, start: int) -> int:
    """The position behind the bracket that closes the one before `start`; 0 where that is too far."""
    depth = 1
    for place in range(start, min(len(text), start + _LONGEST_CALL)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if not depth:
            return place + 1
    return 0


def _compared(expression: str) -> tuple[str, str] | None:
    """`f(x) == y` as the two sides, where the right one is a value."""
    tree = ast.parse(expression, mode="eval").body
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Eq):
        right = ast.unparse(tree.comparators[0])
        return (ast.unparse(tree.left), right) if _is_value(right) else None
    return None


# ── programs that raise ──────────────────────────────────────────────────────────────────────────────────────────


def _raising(clues: Clues) -> Iterator[Sketch]:
    """Blocks of code, each with those before it that it builds on, and the exception that the issue shows."""
    clue = next((clue for clue in clues.tracebacks if clue.exception), None)
    programs = [block.text for block in clues.blocks if _is_program(block)]
    if clue is None:
        return
    for number in range(len(programs), 0, -1):
        whole = "\n".join(programs[:number])
        yield Sketch(whole, exception=clue.exception, message=clue.message)
        if number == len(programs) and number > 1:
            yield Sketch(programs[-1], exception=clue.exception, message=clue.message)


def _earlier(block: CodeBlock, clues: Clues) -> str:
    """The programs that stand before a session."""
    place = clues.blocks.index(block) if block in clues.blocks else 0
    return "\n".join(other.text for other in clues.blocks[:place] if _is_program(other))


def _is_program(block: CodeBlock) -> bool:
    """Whether a block is Python to be run: it parses, does something, and has no prompts or traceback."""
    if block.language not in _PYTHON or ">>>" in block.text or "Traceback (most recent" in block.text:
        return False
    body = _parsed(block.text)
    return bool(body) and any(
        isinstance(node, ast.Import | ast.ImportFrom | ast.Call | ast.FunctionDef | ast.ClassDef)
        for part in body
        for node in ast.walk(part)
    )


def _parsed(code: str) -> list[ast.stmt]:
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_expression(code: str) -> bool:
    body = _parsed(code)
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def _is_value(text: str) -> bool:
    """Whether a text is a Python literal."""
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True


def _bare(value: str) -> str:
    return value.strip("`").strip().rstrip(".,;")


def _runs(sketch: Sketch) -> bool:
    """Whether the sketch has code that parses, and something to expect of it."""
    code = f"{sketch.program}\n{sketch.expression}\n"
    return bool(_parsed(code)) and bool(sketch.exception or sketch.expected)
