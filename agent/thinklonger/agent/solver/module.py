"""One file under repair: its places, scopes and shapes, made once, and the cheap check of a single edit."""

import ast
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import cast

from thinklonger.agent.solver import shape
from thinklonger.agent.solver.clues import Clues
from thinklonger.agent.solver.kinds import Kinds
from thinklonger.agent.solver.place import Block, Edit, Function, Place, build
from thinklonger.agent.solver.precedence import text_binding, wanted
from thinklonger.agent.solver.scope import Facts, Scope
from thinklonger.agent.solver.source import Source

_CONTEXTUAL = frozenset(
    {"Return", "Yield", "YieldFrom", "Await", "Break", "Continue", "AsyncFor", "AsyncWith", "Starred", "NamedExpr"}
)
"""Node classes that parse anywhere but compile only in some contexts."""


class Module:
    """One file's source with what the patterns need to know about it."""

    def __init__(self, source: Source, clues: Clues | None = None) -> None:
        """Find the statements; all else is computed when it is first asked for."""
        self.source = source
        self.clues = clues or Clues()
        self.top = Block(None, "body")
        self.places = build(self)
        self._parents: dict[ast.AST, ast.AST] = {}
        self._spans: dict[ast.AST, tuple[int, int]] = {}
        self._scopes: dict[Place | None, Scope] = {}
        self.expression_cache: dict[Place | None, list[tuple[str, Kinds, str, ast.expr]]] = {}
        self.donor_cache: dict[Place | None, list[tuple[str, float, str]]] = {}
        self.statement_cache: dict[Place | None, list[tuple[str, float]]] = {}
        self.condition_cache: dict[Place | None, list[tuple[str, float, str]]] = {}
        self.all_conditions: list[tuple[Place, str, str, frozenset[str] | None]] | None = None
        self.all_calls: tuple[list[tuple[Place, str, str, float]], list[str]] | None = None
        self.call_cache: dict[Place | None, list[tuple[str, str, float]]] = {}
        self.link_cache: dict[Place | None, list[tuple[str, Kinds]]] = {}
        self.flag_cache: dict[Place | None, list[tuple[str, float]]] = {}
        self.modulus_cache: dict[Place | None, dict[str, float]] = {}
        self._headers: dict[Place, list[str]] = {}
        self._digests: dict[Place, bytes] = {}

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node of a header begins and ends."""
        found = self._spans.get(node)
        if found is None:
            line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
            end_line, end_column = getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 0)
            found = (self.source.offset(line, column), self.source.offset(end_line, end_column))
            self._spans[node] = found
        return found

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around a header's node; known once its place's `nodes` were asked for."""
        return self._parents.get(node)

    def header_nodes(self, place: Place) -> Iterator[ast.AST]:
        """The nodes of a place's header, outermost first."""
        for name, value in ast.iter_fields(place.node):
            if name in shape.BLOCKS and isinstance(value, list):
                continue
            children = cast("list[object]", value) if isinstance(value, list) else [value]
            for child in children:
                if isinstance(child, ast.AST):
                    yield from self._descend(child, place.node)

    def _descend(self, node: ast.AST, parent: ast.AST) -> Iterator[ast.AST]:
        if isinstance(node, ast.expr_context | ast.operator | ast.boolop | ast.unaryop | ast.cmpop):
            return
        self._parents[node] = parent
        if isinstance(node, ast.JoinedStr):
            yield node
            yield from self._fields_of(node)
            return
        yield node
        for child in ast.iter_child_nodes(node):
            yield from self._descend(child, node)

    def _fields_of(self, node: ast.JoinedStr) -> Iterator[ast.AST]:
        """The expressions inside a formatted string; before Python 3.12 the tree's spans of them can be wrong."""
        for part in node.values:
            if not isinstance(part, ast.FormattedValue):
                continue
            self._parents[part] = node
            if sys.version_info >= (3, 12) or self._span_holds(part.value):
                yield from self._descend(part.value, part)

    def _span_holds(self, node: ast.expr) -> bool:
        start, end = self.span(node)
        try:
            found = ast.parse(self.source.text[start:end].strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return False
        return shape.header(found) == shape.header(node)

    def enclose(self, text: str, node: ast.expr) -> str:
        """The text in parentheses if it needs them to stand where the node stands."""
        parent = self._parents.get(node)
        if parent is None:
            return text
        need = wanted(parent, node)
        have = text_binding(text)
        if have >= need or (isinstance(parent, ast.Subscript) and node is not parent.value):
            return text
        start, end = self.span(node)
        if self.source.text[start - 1 : start] == "(" and self.source.text[end : end + 1] == ")" and have >= 0:
            return text if not isinstance(parent, ast.Call) or have >= 1 else f"({text})"
        return f"({text})"

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────

    def scope(self, place: Place) -> Scope:
        """The names seen inside the function around a place."""
        owner = place if isinstance(place.node, Function) else place.function
        if owner not in self._scopes:
            self._scopes[owner] = Scope.of(self, owner)
        return self._scopes[owner]

    @cached_property
    def facts(self) -> Facts:
        """What the file as a whole tells."""
        return Facts(self)

    @cached_property
    def indent_step(self) -> str:
        """What one level of indentation is in this file."""
        for place in self.places:
            outer = place.parent.indent if place.parent is not None else None
            inner = place.indent
            if inner and outer is not None and inner.startswith(outer) and len(inner) > len(outer):
                return inner[len(outer) :]
        return "    "

    @cached_property
    def functions(self) -> tuple[Place, ...]:
        """All functions and methods."""
        return tuple(place for place in self.places if isinstance(place.node, Function))

    @cached_property
    def classes(self) -> tuple[Place, ...]:
        """All classes."""
        return tuple(place for place in self.places if isinstance(place.node, ast.ClassDef))

    # ── checking an edit ─────────────────────────────────────────────────────────────────────────────────────────

    def normalized(self, edit: Edit) -> str | None:
        """The digest of the file's tree after an edit; None where it would not compile, or changes nothing."""
        replaced = self._restructured(edit) if edit.reach is not None else self._new_header(edit)
        if replaced is None:
            return None
        block, first, last, digests = replaced
        result = self._up(block, first, last, digests)
        return None if result == self.digest else result.hex()

    @cached_property
    def digest(self) -> bytes:
        """The digest of the file's tree as it is."""
        return shape.fold((str(self.source.path),), [("body", self._block_digests(self.top))])

    def _up(self, block: Block, first: int, last: int, digests: Sequence[bytes]) -> bytes:
        """The module's digest with the statements [first, last) of a block replaced."""
        current = self._block_digests(block)
        current[first:last] = digests
        while block.owner is not None:
            owner = block.owner
            inner = [
                (name, current if child is block else self._block_digests(child))
                for name, child in owner.blocks.items()
            ]
            folded = shape.fold(self._header(owner), [item for item in inner if item[1]])
            block = owner.block
            current = self._block_digests(block)
            current[owner.index] = folded
        return shape.fold((str(self.source.path),), [("body", current)])

    def _header(self, place: Place) -> list[str]:
        found = self._headers.get(place)
        if found is None:
            found = self._headers[place] = shape.header(place.node)
        return found

    def _digest(self, place: Place) -> bytes:
        found = self._digests.get(place)
        if found is None:
            inner = [(name, self._block_digests(block)) for name, block in place.blocks.items()]
            found = self._digests[place] = shape.fold(self._header(place), inner)
        return found

    def _block_digests(self, block: Block) -> list[bytes]:
        return [self._digest(place) for place in block.places]

    def _new_header(self, edit: Edit) -> tuple[Block, int, int, list[bytes]] | None:
        place = edit.place
        if not place.start <= edit.start <= edit.end <= place.head:
            return None
        text = self.source.text
        new = text[place.start : edit.start] + edit.text + text[edit.end : place.head]
        node = _parse_header(place, new)
        if node is None:
            return None
        words = shape.header(node)
        if not self._legal(place, words, node, self._header(place)):
            return None
        inner = [(name, self._block_digests(block)) for name, block in place.blocks.items()]
        return place.block, place.index, place.index + 1, [shape.fold(words, inner)]

    def _restructured(self, edit: Edit) -> tuple[Block, int, int, list[bytes]] | None:
        if edit.reach is None:
            return None
        block, first, last = edit.reach
        region = self._region(edit, block, (first, last))
        nodes = _parse_block(region) if region is not None else None
        if nodes is None or (not nodes and len(block.places) == last - first):
            return None
        before = {word for place in block.places[first:last] for word in self._words(place)}
        words = [word for node in nodes for child in ast.walk(node) for word in (child.__class__.__name__,)]
        anchor = block.places[min(first, len(block.places) - 1)]
        if not self._legal(anchor, words, nodes, list(before)):
            return None
        return block, first, last, [shape.digest(node) for node in nodes]

    def _region(self, edit: Edit, block: Block, part: tuple[int, int]) -> str | None:
        """The lines of a part of a block after an edit, or None where the edit does not lie inside them."""
        first, last = part
        text = self.source.text
        if first == last:
            return edit.text
        start = block.places[first].rows[0]
        end = block.places[last - 1].rows[1]
        if not start <= edit.start <= edit.end <= end:
            return None
        return text[start : edit.start] + edit.text + text[edit.end : end]

    def _words(self, place: Place) -> set[str]:
        return {node.__class__.__name__ for node in ast.walk(place.node)}

    def _legal(self, place: Place, words: Sequence[str], new: ast.AST | list[ast.stmt], old: Sequence[str]) -> bool:
        """Whether context-bound nodes (return, yield, break …) stand where they may; compiles only if some do."""
        bound = _CONTEXTUAL.intersection(words)
        jumps = bound - {"Return", "Await", "Yield", "YieldFrom"} if isinstance(new, list) else bound
        if not bound or (bound <= set(old) and not jumps and not isinstance(new, list)):
            return True
        return _compiles(place, new)


def _parse_header(place: Place, text: str) -> ast.AST | None:
    """The header's statement, its blocks left empty; None where it does not parse as one statement of its kind."""
    node = place.node
    if text.startswith("@") and place.indent:
        found = _parse_block(f"{place.indent}{text}pass")
        return found[0] if found is not None and len(found) == 1 else None
    lead, tail = _frame(place)
    try:
        body = ast.parse(f"{lead}{text.removeprefix('el') if place.is_elif else text}{tail}").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    match node, body:
        case ast.ExceptHandler(), [ast.Try(handlers=[clause]) | ast.TryStar(handlers=[clause])]:
            return clause
        case ast.match_case(), [ast.Match(cases=[case])]:
            return case
        case ast.stmt(), [statement]:
            return statement
        case _:
            return None


def _frame(place: Place) -> tuple[str, str]:
    """What must stand before and after a header so that it parses alone."""
    match place.node:
        case ast.ExceptHandler():
            return "try:\n pass\n", "pass"
        case ast.match_case():
            return "match _:\n ", "pass"
        case ast.Match():
            return "", "case _:\n   pass"
        case ast.Try() | ast.TryStar():
            return "", "pass\nfinally:\n pass"
        case _:
            return "", "pass" if place.blocks else ""


def _parse_block(text: str) -> list[ast.stmt] | None:
    """Whole lines, at whatever indentation, as statements."""
    lead = "if 1:\n" if text.lstrip("\r\n")[:1] in (" ", "\t") else ""
    if not text.strip():
        return []
    try:
        body = ast.parse(lead + text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not lead:
        return body
    return body[0].body if len(body) == 1 and isinstance(body[0], ast.If) and not body[0].orelse else None


def _compiles(place: Place, new: ast.AST | list[ast.stmt]) -> bool:
    """Compile new statements in a stand-in for their surroundings."""
    nodes = new if isinstance(new, list) else [new]
    body: list[ast.stmt] = []
    for node in nodes:
        if isinstance(node, ast.ExceptHandler):
            body.append(ast.Try(body=[ast.Pass()], handlers=[node], orelse=[], finalbody=[]))
        elif isinstance(node, ast.match_case):
            body.append(ast.Match(subject=ast.Constant(0), cases=[node]))
        elif isinstance(node, ast.stmt):
            body.append(node)
    if place.loop is not None:
        body = [ast.While(test=ast.Name("_", ast.Load()), body=body, orelse=[])]
    if place.function is not None:
        kind = ast.AsyncFunctionDef if isinstance(place.function.node, ast.AsyncFunctionDef) else ast.FunctionDef
        arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        kept = [*body, *_generator_marks(place.function)]
        body = [kind(name="_", args=arguments, body=kept, decorator_list=[])]
    try:
        compile(ast.fix_missing_locations(ast.Module(body=body, type_ignores=[])), "<edit>", "exec")
    except (SyntaxError, ValueError, TypeError, RecursionError):
        return False
    return True


def _generator_marks(function: Place) -> list[ast.stmt]:
    """What an async function's other statements do: an async generator may not return a value."""
    if not isinstance(function.node, ast.AsyncFunctionDef):
        return []
    marks: list[ast.stmt] = []
    for node in ast.walk(function.node):
        if isinstance(node, ast.Yield):
            marks.append(ast.Expr(ast.Yield()))
        elif isinstance(node, ast.Return) and node.value is not None:
            marks.append(ast.Return(ast.Constant(0)))
    return marks[:1]
