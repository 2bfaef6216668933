"""The structure of a Python file: definitions, imports, docstrings, its skeleton; one pruned walk over one parse."""

import re
import time
from collections.abc import Iterator

import tree_sitter
import tree_sitter_python

from thinklonger.agent.repository.language import Analysis, GrammarError
from thinklonger.agent.repository.record import Import, Kind, Outline

GRAMMAR = tree_sitter.Language(tree_sitter_python.language())
_PARSER = tree_sitter.Parser(GRAMMAR)


def _kind(name: str) -> int:
    """The id of a named node kind."""
    found = GRAMMAR.id_for_node_kind(name, True)  # noqa: FBT003 - positional only
    if found is None:
        raise LookupError(name)
    return found


def _field(name: str) -> int:
    """The id of a field."""
    found = GRAMMAR.field_id_for_name(name)
    if found is None:
        raise LookupError(name)
    return found


FUNCTION = _kind("function_definition")
CLASS = _kind("class_definition")
_DECORATED = _kind("decorated_definition")
_IMPORT = _kind("import_statement")
_IMPORT_FROM = _kind("import_from_statement")
_WANTED = frozenset({FUNCTION, CLASS, _DECORATED, _IMPORT, _IMPORT_FROM})
_EXPRESSION = _kind("expression_statement")
_ASSIGNMENT = _kind("assignment")
_STRING = _kind("string")
_COMMENT = _kind("comment")
IDENTIFIER = _kind("identifier")
_ALIASED = _kind("aliased_import")
_RELATIVE = _kind("relative_import")
_PREFIX = _kind("import_prefix")
_WILDCARD = _kind("wildcard_import")
_BLOCK = _kind("block")
_STRING_END = _kind("string_end")
_STRING_START = _kind("string_start")
_PATTERNS = frozenset({_kind("pattern_list"), _kind("tuple_pattern"), _kind("list_pattern")})
_ERROR = 65535
"""tree-sitter's reserved kind id for what it could not parse (ts_builtin_sym_error)."""
_CONTAINERS = frozenset(
    {
        _ERROR,
        *(
            _kind(name)
            for name in (
                "block",
                "if_statement",
                "elif_clause",
                "else_clause",
                "for_statement",
                "while_statement",
                "try_statement",
                "except_clause",
                "finally_clause",
                "with_statement",
                "match_statement",
                "case_clause",
            )
        ),
    }
)
_DOCUMENTED = frozenset(bytes([code]) for code in b"\"'rRuUbBfF#")
"""What a body with a docstring begins with; `#`: a comment stands before it."""
_SIMPLE = re.compile(rb"from \.*(?:[A-Za-z_][\w.]*)? import [A-Za-z_]\w*(?:, [A-Za-z_]\w*)*").fullmatch
"""The usual form of a from-import, which is read without its nodes."""
_STARTS = (b"async", b"from")
_SEPARATORS = (b":", b";")
"""What may stand in a line before `def`, `class` or `import`."""
_HOLDERS = _CONTAINERS | {FUNCTION, CLASS, _DECORATED}
_DEEPEST = 200
"""Statements nested deeper than this are left out; Python itself allows 100 levels of indentation."""

NAME = _field("name")
_BODY = _field("body")
_DEFINITION = _field("definition")
_MODULE_NAME = _field("module_name")
_ALIAS = _field("alias")
_LEFT = _field("left")


_COMMENTS = re.compile(rb"\n[ \t]*#[^\n\"']*(?:\n[ \t]*#[^\n\"']*){50,}")
_MANY_COMMENTS = 200
_QUICK_BYTES = 100_000
_SECONDS = 3.0


def parse(text: bytes) -> tree_sitter.Tree:
    """The syntax tree of a UTF-8 text; don't keep it (25 bytes for each byte of source), don't ask it for texts.

    The grammar takes quadratic time for long runs of comments (a second for 3,000 lines): those become spaces.

    Raises:
        GrammarError: some other kind of text that takes more than three seconds (2 MB take 0.4).
    """
    if text.count(b"#") > _MANY_COMMENTS:
        text = _COMMENTS.sub(_blanked, text)
    if len(text) <= _QUICK_BYTES:
        return _PARSER.parse(text)
    end = time.thread_time() + _SECONDS

    def read(start: int, _: object) -> bytes:
        return text[start:]

    def late(*_: object) -> bool:
        return time.thread_time() > end

    try:
        return _PARSER.parse(read, progress_callback=late)
    except ValueError as failure:
        _PARSER.reset()  # otherwise it goes on with this text next time
        raise GrammarError from failure


def _blanked(comments: re.Match[bytes]) -> bytes:
    """Spaces of the same length, with the same lines."""
    return _NOT_BREAK.sub(b" ", comments.group())


_NOT_BREAK = re.compile(rb"[^\n]")


class _Walk:
    """One walk over one tree, in source order; expressions are never entered. Collects what an Analysis is made of."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.imports: list[Import] = []
        self.qualified: list[str] = []
        self.kinds: list[Kind] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.names: list[bytes] = []
        self.docstrings: list[bytes] = []

    def visit(self, parent: tree_sitter.Node, prefix: str, inside: Kind | None, depth: int) -> None:
        """The statements of a module or a class body (`inside`); `prefix` begins the names of what is defined there."""
        for node in parent.named_children:
            kind = node.kind_id
            if kind == _EXPRESSION:
                self.assign(node)
            elif kind in (FUNCTION, CLASS):
                self.define(node, node, prefix, inside, depth)
            elif kind in _WANTED:
                self.take(node, kind, prefix, inside, depth)
            elif kind in _CONTAINERS and depth < _DEEPEST:
                self.visit(node, prefix, inside, depth + 1)

    def search(self, body: tree_sitter.Node, prefix: str, inside: Kind, depth: int) -> None:
        """The definitions and imports in a function's body, found by the words that they begin with."""
        done = body.start_byte
        for at in self.signs(done, body.end_byte):
            node = body if at >= done else None
            while node is not None:
                node = node.first_named_child_for_byte(at)
                if node is None or node.start_byte > at:
                    break
                kind = node.kind_id
                if kind in _WANTED:
                    self.take(node, kind, prefix, inside, depth)
                    done = node.end_byte
                    break
                if kind not in _CONTAINERS:
                    break

    def signs(self, start: int, end: int) -> list[int]:
        """Where a definition or an import may begin, ascending."""
        text = self.text
        found: list[int] = []
        for word in (b"import", b"def", b"class"):
            at = text.find(word, start, end)
            while at >= 0:
                before = text[text.rfind(b"\n", 0, at) + 1 : at].strip()
                if not before or before.startswith(_STARTS) or before.endswith(_SEPARATORS):
                    found.append(at)
                at = text.find(word, at + 1, end)
        found.sort()
        return found

    def take(self, node: tree_sitter.Node, kind: int, prefix: str, inside: Kind | None, depth: int) -> None:
        """A definition, decorated or not, or an import."""
        if kind == _IMPORT:
            self.imports.extend(_plain_imports(node, self.text))
        elif kind == _IMPORT_FROM:
            self.imports.extend(_from_import(node, self.text))
        elif kind != _DECORATED:
            self.define(node, node, prefix, inside, depth)
        elif inner := node.child_by_field_id(_DEFINITION):
            self.define(inner, node, prefix, inside, depth)

    def define(
        self, node: tree_sitter.Node, outer: tree_sitter.Node, prefix: str, inside: Kind | None, depth: int
    ) -> None:
        """A class or a function; `outer` is the decorated definition around it, or the node itself."""
        named = node.child_by_field_id(NAME)
        if named is None:
            return
        raw = self.text[named.start_byte : named.end_byte]
        if not raw:
            return
        kind: Kind = "c"
        if node.kind_id == FUNCTION:
            kind = "m" if inside == "c" else "f"
        name = prefix + raw.decode("utf-8", "replace")
        self.names.append(raw)
        first = outer.start_point[0] + 1
        row, column = node.end_point
        last = row + (column > 0)  # a node that ends at the start of a line ended on the line before
        self.qualified.append(name)
        self.kinds.append(kind)
        self.starts.append(first)
        self.ends.append(max(first, last))
        body = node.child_by_field_id(_BODY)
        if body is None:
            return
        start = body.start_byte
        if self.text[start : start + 1] in _DOCUMENTED:
            self.document(body)
        if depth < _DEEPEST:
            (self.visit if kind == "c" else self.search)(body, f"{name}.", kind, depth + 1)

    def document(self, body: tree_sitter.Node) -> None:
        """The docstring of a body, if there is one."""
        found = _docstring(body)
        if found is not None:
            self.docstrings.append(self.text[found.start_byte : found.end_byte])

    def assign(self, node: tree_sitter.Node) -> None:
        """Names assigned at module or class level belong to the symbols field."""
        first = node.child(0) if node.child_count else node
        if first.kind_id != _ASSIGNMENT:
            return
        left = first.child_by_field_id(_LEFT)
        if left is None:
            return
        targets = [left] if left.kind_id == IDENTIFIER else left.named_children if left.kind_id in _PATTERNS else []
        self.names.extend(
            self.text[target.start_byte : target.end_byte] for target in targets if target.kind_id == IDENTIFIER
        )


def analyse(text: bytes) -> Analysis:
    """Parse once and tell what is in it; what doesn't parse is skipped, the rest is kept."""
    root = parse(text).root_node
    walk = _Walk(text)
    walk.document(root)
    walk.visit(root, "", None, 0)
    error_line = _first_error(root) if root.has_error else 0
    outline = Outline(walk.qualified, walk.kinds, walk.starts, walk.ends, walk.imports)
    return Analysis(outline, b" ".join(walk.names), b" ".join(walk.docstrings), error_line)


def _docstring(body: tree_sitter.Node) -> tree_sitter.Node | None:
    """The string that a module's or definition's body begins with."""
    for index in range(body.named_child_count):
        statement = body.named_child(index)
        if statement.kind_id == _COMMENT:
            continue
        if statement.kind_id != _EXPRESSION or not statement.child_count:
            return None
        first = statement.child(0)
        return first if first.kind_id == _STRING else None
    return None


def _name(node: tree_sitter.Node | None, text: bytes) -> str:
    """A name without the spaces that Python allows around its dots."""
    return b"".join(text[node.start_byte : node.end_byte].split()).decode("utf-8", "replace") if node else ""


def _plain_imports(node: tree_sitter.Node, text: bytes) -> Iterator[Import]:
    """`import a.b, c as d`: one import for each module."""
    for child in node.named_children:
        if child.kind_id == _ALIASED:
            yield Import(0, _name(child.child_by_field_id(NAME), text), ())
        elif child.kind_id not in (_COMMENT, _ERROR):
            yield Import(0, _name(child, text), ())


def _from_import(node: tree_sitter.Node, text: bytes) -> Iterator[Import]:
    """`from ..a import b as c, d`: level, module and the names taken out of it."""
    plain = text[node.start_byte : node.end_byte]
    if _SIMPLE(plain):
        origin, _, taken = plain.decode().partition(" import ")
        module = origin[5:].lstrip(".")
        yield Import(len(origin) - 5 - len(module), module, tuple([(name, name) for name in taken.split(", ")]))
        return
    source = node.child_by_field_id(_MODULE_NAME)
    if source is None:
        return
    level, module = 0, ""
    if source.kind_id == _RELATIVE:
        for child in source.named_children:
            if child.kind_id == _PREFIX:
                level = _name(child, text).count(".")
            else:
                module = _name(child, text)
    else:
        module = _name(source, text)
    names: list[tuple[str, str]] = []
    for child in node.children_by_field_id(NAME):
        if child.kind_id == _ALIASED:
            names.append((_name(child.child_by_field_id(NAME), text), _name(child.child_by_field_id(_ALIAS), text)))
        else:
            names.append((_name(child, text), _name(child, text)))
    if not names and any(child.kind_id == _WILDCARD for child in node.named_children):
        names.append(("*", "*"))
    yield Import(level, module, tuple(names))


def _first_error(root: tree_sitter.Node) -> int:
    """The 1-based line of the first node that is wrong or was made up to go on."""
    node = root
    while True:
        wrong = next((child for child in node.children if child.has_error or child.is_missing), None)
        if wrong is None or wrong.kind_id == _ERROR or wrong.is_missing:
            return (wrong or node).start_point[0] + 1
        node = wrong


def skeleton(text: bytes) -> bytes:
    """The text with each outermost function's body as `...` below the first line of its docstring."""
    pieces: list[bytes] = []
    done = 0
    stack = [parse(text).root_node]
    while stack:
        node = stack.pop()
        body = node.child_by_field_id(_BODY) if node.kind_id == FUNCTION else None
        if body is not None:
            colon = next((child for child in reversed(node.children) if child.type == ":"), None)
            if colon is not None and colon.start_byte >= done:
                pieces += [text[done : colon.end_byte], _elided(text, body, one_line=_same_line(colon, body))]
                done = max(body.end_byte, colon.end_byte)
            continue
        stack.extend(child for child in reversed(node.named_children) if child.kind_id in _HOLDERS)
    return b"".join([*pieces, text[done:]])


def _same_line(colon: tree_sitter.Node, body: tree_sitter.Node) -> bool:
    """Whether the body stands right behind the colon."""
    return colon.end_point[0] == body.start_point[0]


def _elided(text: bytes, body: tree_sitter.Node, *, one_line: bool) -> bytes:
    """What stands for a body."""
    if one_line:
        return b" ..."
    start = body.start_byte
    indent = text[text.rfind(b"\n", 0, start) + 1 : start]
    if indent.strip():
        indent = b" " * body.start_point[1]
    newline = b"\r\n" if text[:start].rstrip(b" \t").endswith(b"\r\n") else b"\n"
    summary = _summary(text, body)
    return b"".join([newline + indent + summary if summary else b"", newline + indent + b"..."])


def _summary(text: bytes, body: tree_sitter.Node) -> bytes:
    """The docstring cut to its first line of words; nothing where that is not plainly possible."""
    found = _docstring(body)
    if found is None or found.child_count < 2:  # noqa: PLR2004 - both quotes
        return b""
    opening, closing = found.child(0), found.child(found.child_count - 1)
    if closing.kind_id != _STRING_END or opening.kind_id != _STRING_START:
        return b""
    lines = [line.strip() for line in text[opening.end_byte : closing.start_byte].split(b"\n")]
    line = next((line for line in lines if line), b"")
    if not line or line.endswith((b"\\", b'"', b"'")):
        return b""
    return text[opening.start_byte : opening.end_byte] + line + text[closing.start_byte : closing.end_byte]
