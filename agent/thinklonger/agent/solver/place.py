"""Where edits happen: the statements of a file with their spans, blocks and surroundings, and edits of them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from thinklonger.agent.solver.shape import BLOCKS, Statement, blocks
from thinklonger.agent.solver.source import Source

if TYPE_CHECKING:
    from thinklonger.agent.solver.module import Module
    from thinklonger.agent.solver.scope import Scope

Node = TypeVar("Node", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.While


@dataclass(frozen=True, slots=True)
class Edit:
    """One region of a file and the text that takes its place.

    `weight` in (0, 1]: how likely among this pattern's edits at this place. `note`: the change in words, empty where
    `words` can tell it from the texts. `reach`: the statements [first, last) of a block that the edit may restructure;
    None where it stays inside the header of its place's statement.
    """

    place: "Place"
    start: int
    end: int
    text: str
    weight: float
    note: str
    reach: "tuple[Block, int, int] | None" = None

    @property
    def words(self) -> str:
        """The change in words; made only for the edits that somebody reads about."""
        old = self.place.source.text[self.start : self.end]
        if not old and not self.note:
            return f"`{short(self.text)}` comes first"
        return self.note or f"`{short(old)}` becomes `{short(self.text)}`"


@dataclass(eq=False, slots=True)
class Block:
    """A list of statements: whose it is (None: the module's), by which name, and the places in it."""

    owner: "Place | None"
    name: str
    places: "list[Place]" = field(default_factory=list["Place"])


@dataclass(eq=False)
class Place:
    """One statement, except clause or match case, with what is around it.

    The header is all but its nested blocks: `start` to `head` in the text; `end` is the end of the statement. For a
    simple statement `head` equals `end`. `function`, `loop` are the innermost around it (a loop in the same function).
    """

    module: "Module"
    node: Statement
    block: Block
    index: int
    function: "Place | None"
    klass: "Place | None"
    loop: "Place | None"
    blocks: dict[str, Block] = field(default_factory=dict[str, Block])
    _by_kind: dict[object, tuple[ast.AST, ...]] = field(default_factory=dict[object, tuple[ast.AST, ...]])

    @property
    def source(self) -> Source:
        """The file that it stands in."""
        return self.module.source

    @property
    def parent(self) -> "Place | None":
        """The statement around it."""
        return self.block.owner

    @cached_property
    def start(self) -> int:
        """Where it begins, decorators included."""
        node = self.node
        if isinstance(node, ast.match_case):
            begin = self.source.offset(node.pattern.lineno, node.pattern.col_offset)
            return self.source.text.rindex("case", 0, begin)
        decorators = getattr(node, "decorator_list", None)
        if decorators:
            first = decorators[0]
            return self.source.text.rindex("@", 0, self.source.offset(first.lineno, first.col_offset))
        return self.source.offset(node.lineno, node.col_offset)

    @cached_property
    def end(self) -> int:
        """Where it ends."""
        node = self.node
        if isinstance(node, ast.match_case):
            return self.blocks["body"].places[-1].end
        return self.source.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    @cached_property
    def head(self) -> int:
        """Where its header ends: at its first nested statement."""
        for name in BLOCKS:
            if name in self.blocks:
                return self.blocks[name].places[0].start
        return self.end

    @property
    def line(self) -> int:
        """Its first line, decorators not counted."""
        return self.node.pattern.lineno if isinstance(self.node, ast.match_case) else self.node.lineno

    @property
    def last_line(self) -> int:
        """Its last line."""
        return self.source.line_at(max(self.end - 1, self.start))

    @cached_property
    def header_lines(self) -> range:
        """The lines of its header."""
        last = self.source.line_at(max(len(self.source.text[: self.head].rstrip()) - 1, self.start))
        return range(self.line, max(last, self.line) + 1)

    @property
    def text(self) -> str:
        """Its source."""
        return self.source.text[self.start : self.end]

    @cached_property
    def indent(self) -> str | None:
        """The white space before it; None where something else stands before it on its line."""
        before = self.source.text[self.source.line_start(self.source.line_at(self.start)) : self.start]
        return before if not before.strip(" \t\f") else None

    @cached_property
    def alone(self) -> bool:
        """Whether its lines hold nothing else (but a comment), so that whole lines can be moved."""
        rest = self.source.text[self.end : self.source.line_start(self.last_line + 1)].strip()
        return self.indent is not None and (not rest or rest.startswith("#")) and not self.is_elif

    @cached_property
    def is_elif(self) -> bool:
        """Whether it is written as `elif`."""
        return isinstance(self.node, ast.If) and self.source.text.startswith("elif", self.start)

    @property
    def inside(self) -> "Iterator[Place]":
        """The statements in its blocks, nested ones included, in source order."""
        for block in self.blocks.values():
            for inner in block.places:
                yield inner
                yield from inner.inside

    @property
    def movable(self) -> bool:
        """Whether its lines can be re-indented: it is alone, and no string runs over its lines."""
        return self.alone and not self._spans_text

    @cached_property
    def _spans_text(self) -> bool:
        if self.line == self.last_line:
            return False
        return any(
            isinstance(node, ast.Constant | ast.JoinedStr) and node.lineno != node.end_lineno
            for node in ast.walk(self.node)
        )

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """The nodes of its header, outermost first, without those whose span the tree does not know."""
        return tuple(self.module.header_nodes(self))

    def all(self, kind: type[Node] | tuple[type[Node], ...]) -> Iterator[Node]:
        """The header's nodes of a kind."""
        found = self._by_kind.get(kind)
        if found is None:
            found = self._by_kind[kind] = tuple(node for node in self.nodes if isinstance(node, kind))
        return cast("Iterator[Node]", iter(found))

    @cached_property
    def scope(self) -> "Scope":
        """The names that can be seen here."""
        return self.module.scope(self)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where an expression, argument or keyword begins and ends."""
        return self.module.span(node)

    def segment(self, node: ast.AST) -> str:
        """The source of an expression."""
        start, end = self.span(node)
        return self.source.text[start:end]

    # ── edits ────────────────────────────────────────────────────────────────────────────────────────────────────

    def splice(self, start: int, end: int, text: str, *, weight: float, note: str) -> Edit:
        """An edit inside the header."""
        return Edit(self, start, end, text, weight, note)

    def swap(self, node: ast.expr, text: str, *, weight: float = 1.0, note: str = "") -> Edit:
        """An expression replaced by another, in parentheses where the place needs them."""
        start, end = self.span(node)
        return Edit(self, start, end, self.module.enclose(text, node), weight, note)

    def wrap(self, node: ast.expr, text: str, *, weight: float) -> Edit:
        """An expression replaced by one that needs no parentheses anywhere, like a call."""
        start, end = self.span(node)
        return Edit(self, start, end, text, weight, "")

    def before(self, text: str, *, weight: float, note: str) -> Edit | None:
        """Statements inserted before this one; `text` is written at indentation zero."""
        if self.slot is None:
            return None
        at, indent, reach = self.slot
        new = indented(text, indent) + "\n"
        return Edit(self, at, at, new, weight, note, reach)

    @cached_property
    def slot(self) -> "tuple[int, str, tuple[Block, int, int]] | None":
        """Where statements can be inserted before this one, and at which indentation."""
        if self.indent is None or self.is_elif or not isinstance(self.node, ast.stmt):
            return None
        at = self.source.line_start(self.source.line_at(self.start))
        return at, self.indent, (self.block, self.index, self.index)

    def after(self, text: str, *, weight: float, note: str) -> Edit | None:
        """Statements inserted after this one; `text` is written at indentation zero."""
        if not self.alone or not isinstance(self.node, ast.stmt):
            return None
        at = self.source.line_start(self.last_line + 1)
        new = indented(text, self.indent or "") + "\n"
        if not self.source.text[:at].endswith(("\n", "\r")):
            new = "\n" + new.removesuffix("\n")
        return Edit(self, at, at, new, weight, note, (self.block, self.index + 1, self.index + 1))

    def lines(self, first: int, last: int) -> tuple[int, int]:
        """The offsets of whole lines, `first` to `last` inclusive."""
        return self.source.line_start(first), self.source.line_start(last + 1)

    @property
    def rows(self) -> tuple[int, int]:
        """The offsets of its whole lines, decorators and a trailing comment included."""
        return self.lines(self.source.line_at(self.start), self.last_line)

    def restructure(self, text: str, *, weight: float, note: str, span: tuple[int, int] | None = None) -> Edit | None:
        """This statement's lines (or a wider span inside the same reach) replaced by other lines, indented already."""
        if not self.alone or not isinstance(self.node, ast.stmt):
            return None
        start, end = span or self.rows
        if text and not text.endswith("\n") and self.source.text[start:end].endswith(("\n", "\r")):
            text += "\n"
        return Edit(self, start, end, text, weight, note, (self.block, self.index, self.index + 1))

    def body_text(self, name: str = "body") -> str | None:
        """The whole lines of a nested block, as they stand; None where the block shares a line with its header."""
        places = self.blocks[name].places
        if not all(place.alone for place in (places[0], places[-1])):
            return None
        start = self.source.line_start(self.source.line_at(places[0].start))
        return self.source.text[start : places[-1].rows[1]]


def indented(text: str, indent: str) -> str:
    """Text written at indentation zero, moved to an indentation; empty lines stay empty."""
    return "\n".join([indent + line if line.strip() else line for line in text.split("\n")])


def reindented(text: str, old: str, new: str) -> str | None:
    """Lines moved from one indentation to another; None where a line is not indented by at least the old one."""
    out: list[str] = []
    for line in re.split(r"(?<=\n)", text.replace("\r\n", "\n")):
        if not line.strip():
            out.append(line)
        elif line.startswith(old):
            out.append(new + line[len(old) :])
        else:
            return None
    return "".join(out)


def short(text: str, limit: int = 60) -> str:
    """Source for a sentence: on one line, cut where it is long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def build(module: "Module") -> list[Place]:
    """All places of a file, in source order, linked to their surroundings."""
    found: list[Place] = []

    def visit(
        statements: list[Statement], block: Block, around: tuple[Place | None, Place | None, Place | None]
    ) -> None:
        function, klass, loop = around
        for index, node in enumerate(statements):
            place = Place(module, node, block, index, function, klass, loop)
            block.places.append(place)
            found.append(place)
            for name, children in blocks(node):
                inner = Block(place, name)
                place.blocks[name] = inner
                visit(children, inner, _around(place, name))

    def _around(place: Place, name: str) -> tuple[Place | None, Place | None, Place | None]:
        if isinstance(place.node, Function):
            return place, place.klass, None
        if isinstance(place.node, ast.ClassDef):
            return None, place, None
        if isinstance(place.node, Loop) and name == "body":
            return place.function, place.klass, place
        return place.function, place.klass, place.loop

    visit([*module.source.tree.body], module.top, (None, None, None))
    return found
