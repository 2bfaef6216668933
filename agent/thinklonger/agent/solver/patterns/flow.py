"""Control flow: returns, yields, loops, branches, and statements at the wrong depth."""

import ast
import re
from collections.abc import Iterator

from thinklonger.agent.solver.pattern import Pattern
from thinklonger.agent.solver.place import Edit, Function, Loop, Place, indented, reindented, short


def result(place: Place) -> Iterator[Edit]:
    """A returned or yielded value → another name in scope; a bare `return` → `return x`."""
    node = place.node
    scope = place.scope
    if isinstance(node, ast.Return) and place.function is not None:
        for variable in scope.variables.values():
            if variable.origin in {"local", "parameter"}:
                weight = 1.0 if variable.origin == "local" else 0.6
                new = f"return {variable.name}"
                yield place.splice(
                    place.start, place.end, new, weight=weight, note=f"`{short(place.text)}` becomes `{new}`"
                )
        for text, weight in _returned(place):
            new = f"return {text}" if text else "return"
            if new != place.text:
                yield place.splice(
                    place.start, place.end, new, weight=weight, note=f"`{short(place.text)}` becomes `{new}`"
                )


def _returned(place: Place) -> list[tuple[str, float]]:
    """What the function's returns return, and the usual plain values."""
    found: dict[str, float] = {}
    for other in place.module.places:
        if other.function is place.function and isinstance(other.node, ast.Return) and other.node.value is not None:
            found[other.segment(other.node.value)] = 0.6
    for text, weight in (
        ("None", 0.35),
        ("True", 0.4),
        ("False", 0.4),
        ("0", 0.35),
        ("-1", 0.2),
        ("[]", 0.35),
        ("''", 0.2),
        ("1", 0.2),
        ("{}", 0.15),
        ("self", 0.3),
    ):
        found.setdefault(text, weight)
    return list(found.items())


def missing_return(place: Place) -> Iterator[Edit]:
    """`f(x)` → `return f(x)`, `yield from f(x)`, `await f(x)`; `x = …` → `return …`."""
    node = place.node
    if place.function is None:
        return
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        if isinstance(node.value, ast.Yield | ast.YieldFrom | ast.Await):
            return
        generator = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(place.function.node))
        for word, weight in (
            ("return", 1.0),
            ("yield from", 1.0 if generator else 0.4),
            ("yield", 0.6 if generator else 0.2),
            ("raise", 0.8 if _is_exception(node.value) else 0.0),
        ):
            if weight:
                yield place.splice(
                    place.start,
                    place.start,
                    f"{word} ",
                    weight=weight,
                    note=f"`{word}` is put before `{short(place.text)}`",
                )
        for variable in place.scope.variables.values():
            if variable.origin in {"local", "parameter"} and isinstance(node.value, ast.Call):
                new = f"{variable.name} = "
                yield place.splice(
                    place.start,
                    place.start,
                    new,
                    weight=0.5,
                    note=f"the result of `{short(place.text)}` is kept in `{variable.name}`",
                )
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        start = place.span(node.value)[0]
        yield place.splice(place.start, start, "return ", weight=0.25, note=f"`{short(place.text)}` becomes a `return`")


def _is_exception(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.endswith(("Error", "Exception", "Iteration"))
    )


def _becomes(place: Place, new: str, weight: float) -> Edit:
    """A simple statement replaced by another."""
    return place.splice(
        place.start, place.end, new, weight=weight, note=f"`{short(place.text)}` becomes `{short(new)}`"
    )


def return_kind(place: Place) -> Iterator[Edit]:
    """`return` ↔ `yield` ↔ `yield from`; `raise` ↔ `return`; `return x` → `x`."""
    node = place.node
    if isinstance(node, ast.Return):
        yield from _instead_of_return(place, node)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom):
        word = "yield from" if isinstance(node.value, ast.YieldFrom) else "yield"
        if place.text.startswith(word):
            for other, weight in (("yield", 1.0), ("yield from", 1.0), ("return", 0.4)):
                if other != word:
                    yield _becomes(place, other + place.text[len(word) :], weight)
    elif isinstance(node, ast.Raise) and place.function is not None:
        for new, weight in _NO_RAISE:
            if new != "continue" or place.loop is not None:
                yield _becomes(place, new, weight)


_NO_RAISE = (
    ("return", 0.3), ("return None", 0.5), ("return False", 0.4), ("return []", 0.2), ("raise", 0.3), ("continue", 0.4),
    ("pass", 0.15),
)  # fmt: skip


def _instead_of_return(place: Place, node: ast.Return) -> Iterator[Edit]:
    rest = place.text[len("return") :]
    if node.value is not None:
        alone = 1.0 if place.loop is not None or "lazy" in place.module.clues.tags else 0.4
        yield _becomes(place, f"yield{rest}", 0.8 * alone)
        yield _becomes(place, f"yield from{rest}", 0.6 * alone)
        if _is_exception(node.value):
            yield _becomes(place, f"raise{rest}", 1.0)
        if isinstance(node.value, ast.Call):
            yield _becomes(place, rest.strip(), 0.4)
    for name in place.module.clues.wanted:
        yield _becomes(place, f"raise {name}", 0.7)
    if place.loop is not None:
        yield _becomes(place, "continue", 0.5)
        yield _becomes(place, "break", 0.5)


def jump(place: Place) -> Iterator[Edit]:
    """`break` ↔ `continue` ↔ `pass` ↔ `return`."""
    node = place.node
    if not isinstance(node, ast.Break | ast.Continue | ast.Pass):
        return
    for other, weight in (
        ("break", 1.0),
        ("continue", 1.0),
        ("return", 0.5),
        ("pass", 0.5),
        ("return None", 0.1),
        ("return False", 0.4),
        ("return True", 0.4),
        ("raise", 0.3),
    ):
        loops = other in {"break", "continue"}
        if (
            other == place.text
            or (loops and place.loop is None)
            or (other.startswith("return") and place.function is None)
        ):
            continue
        yield place.splice(place.start, place.end, other, weight=weight, note=f"`{place.text}` becomes `{other}`")


def loop_kind(place: Place) -> Iterator[Edit]:
    """`if` ↔ `while`."""
    node = place.node
    if isinstance(node, ast.If) and not node.orelse and not place.is_elif:
        weight = 0.7 if _moves_on(node) else 0.05
        yield place.splice(place.start, place.start + 2, "while", weight=weight, note="`if` becomes `while`")
    elif isinstance(node, ast.While) and not node.orelse:
        yield place.splice(place.start, place.start + 5, "if", weight=0.5, note="`while` becomes `if`")


def _moves_on(node: ast.If) -> bool:
    """Whether the body of a branch can change what its condition asks for, so that a loop of it could end."""
    asked = {inner.id for inner in ast.walk(node.test) if isinstance(inner, ast.Name)}
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Name) and inner.id in asked and isinstance(inner.ctx, ast.Store):
                return True
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                owner = next((part.id for part in ast.walk(inner.func.value) if isinstance(part, ast.Name)), "")
                if owner in asked:
                    return True
            if isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store | ast.Del):
                return True
    return False


def branch_kind(place: Place) -> Iterator[Edit]:
    """`if` ↔ `elif`, `elif c` → `else`."""
    if not isinstance(place.node, ast.If):
        return
    if place.is_elif:
        yield from _instead_of_elif(place, place.node)
    elif place.index and place.alone:
        previous = place.block.places[place.index - 1]
        if isinstance(previous.node, ast.If) and previous.alone and not _has_else(previous.node):
            reach = (place.block, place.index - 1, place.index + 1)
            yield Edit(place, place.start, place.start + 2, "elif", 1.0, "`if` becomes `elif`", reach)


def _has_else(node: ast.If) -> bool:
    while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node = node.orelse[0]
    return bool(node.orelse)


def _instead_of_elif(place: Place, node: ast.If) -> Iterator[Edit]:
    top = place
    while top.is_elif and top.parent is not None:
        top = top.parent
    reach = (top.block, top.index, top.index + 1)
    if top.alone:
        yield Edit(place, place.start, place.start + len("elif"), "if", 1.0, "`elif` becomes `if`", reach)
    if not node.orelse:
        end = place.source.text.index(":", place.span(node.test)[1])
        note = f"`elif {short(place.segment(node.test))}` becomes `else`"
        yield Edit(place, place.start, end, "else", 0.5, note, reach)


def branch_order(place: Place) -> Iterator[Edit]:
    """Two branches of an `if` chain change places."""
    node = place.node
    if not isinstance(node, ast.If) or len(node.orelse) != 1 or "orelse" not in place.blocks:
        return
    other = place.blocks["orelse"].places[0]
    if not other.is_elif or not isinstance(other.node, ast.If) or place.indent is None:
        return
    text = place.source.text
    one, two = place.body_text(), other.body_text()
    if one is None or two is None:
        return
    first = place.blocks["body"].places
    second = other.blocks["body"].places
    start, stop = place.span(node.test)[0], place.source.line_start(first[-1].last_line + 1)
    begin, end = place.span(other.node.test)[0], place.source.line_start(second[-1].last_line + 1)
    new = text[begin:end] + text[stop:begin] + text[start:stop]
    if not text[begin:end].endswith("\n") or place.is_elif:
        return
    yield Edit(place, start, end, new, 0.6, "two branches change places", (place.block, place.index, place.index + 1))


def unwrap(place: Place) -> Iterator[Edit]:
    """`if c: body` → `body`; `else: body` → `body`; a loop dropped around its body."""
    node = place.node
    if (
        not place.movable
        or place.indent is None
        or not isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try)
    ):
        return
    body = place.body_text()
    if body is None:
        return
    inner = place.blocks["body"].places[0].indent or ""
    new = reindented(body, inner, place.indent)
    if new is not None:
        weight = 0.5 if isinstance(node, ast.If) and not node.orelse else 0.3
        made = place.restructure(new, weight=weight, note="the block always runs, not only under its condition")
        if made:
            yield made
    if isinstance(node, ast.If) and "orelse" in place.blocks and not place.blocks["orelse"].places[0].is_elif:
        places = place.blocks["orelse"].places
        text = place.body_text("orelse")
        new = reindented(text, places[0].indent or "", place.indent) if text else None
        if new is not None:
            made = place.restructure(new, weight=0.3, note="only the other branch stays")
            if made:
                yield made


def flatten_else(place: Place) -> Iterator[Edit]:
    """`else: body` → `body`, after the branches (of an `if` or a loop)."""
    node = place.node
    if (
        not isinstance(node, ast.If | ast.For | ast.While)
        or "orelse" not in place.blocks
        or not place.movable
        or place.indent is None
    ):
        return
    places = place.blocks["orelse"].places
    if places[0].is_elif:
        return
    text = place.body_text("orelse")
    new = reindented(text, places[0].indent or "", place.indent) if text else None
    if new is None:
        return
    before = place.blocks["body"].places[-1]
    start = before.rows[1]
    made = place.restructure(new, weight=1.0, note="what `else` holds always runs", span=(start, place.rows[1]))
    if made:
        yield made


def make_else(place: Place) -> Iterator[Edit]:
    """The statements after an `if` or loop → its `else` block."""
    node = place.node
    if (
        not isinstance(node, ast.If | ast.For | ast.While)
        or "orelse" in place.blocks
        or not place.alone
        or place.indent is None
    ):
        return
    rest = place.block.places[place.index + 1 :]
    inner = place.blocks["body"].places[0].indent
    if inner is None or not all(other.movable for other in rest):
        return
    for count in sorted({1, len(rest)} - {0}):
        if count > len(rest):
            continue
        start, end = place.rows[1], rest[count - 1].rows[1]
        body = reindented(place.source.text[start:end], place.indent, inner)
        if body is None:
            continue
        reach = (place.block, place.index, place.index + 1 + count)
        yield Edit(
            place, start, end, f"{place.indent}else:\n{body}", 0.5, "what follows runs only in the other case", reach
        )


def depth(place: Place) -> Iterator[Edit]:
    """Statements at the end of a block move out of it; statements after a block move into it."""
    if not place.movable or place.indent is None or not isinstance(place.node, ast.stmt):
        return
    yield from _outwards(place)
    yield from _inwards(place)


def _outwards(place: Place) -> Iterator[Edit]:
    parent = place.parent
    text = place.source.text
    rest = place.block.places[place.index :]
    if not all(other.movable for other in rest) or place.index == 0:
        return
    start, end = place.rows[0], rest[-1].rows[1]
    body = text[start:end]
    steps = 0
    while parent is not None and steps < 3:  # noqa: PLR2004 - deeper moves are rare
        steps += 1
        if not isinstance(parent.node, ast.stmt | ast.ExceptHandler) or isinstance(
            parent.node, Function | ast.ClassDef
        ):
            return
        if isinstance(parent.node, ast.ExceptHandler) or parent.is_elif or parent.indent is None:
            parent = parent.parent
            continue
        new = reindented(body, place.indent or "", parent.indent)
        stop = parent.rows[1]
        if new is not None and parent.alone:
            moved = text[end:stop] + new
            returns = isinstance(place.node, ast.Return) and isinstance(parent.node, Loop)
            weight = 1.0 if returns or steps == 1 else 0.6
            reach = (parent.block, parent.index, parent.index + 1)
            yield Edit(place, start, stop, moved, weight, f"`{short(place.text)}` moves out of the block", reach)
        parent = parent.parent


def _inwards(place: Place) -> Iterator[Edit]:
    if place.index == 0:
        return
    previous = place.block.places[place.index - 1]
    text = place.source.text
    current: Place | None = previous
    steps = 0
    start, end = place.rows
    while current is not None and steps < 3:  # noqa: PLR2004 - deeper moves are rare
        steps += 1
        if isinstance(current.node, Function | ast.ClassDef) or not current.blocks:
            return
        names = [name for name in ("body", "orelse", "finalbody") if name in current.blocks]
        for name in names:
            places = current.blocks[name].places
            inner = places[0].indent
            if inner is None or not places[-1].alone:
                continue
            new = reindented(text[start:end], place.indent or "", inner)
            at = places[-1].rows[1]
            if new is None or at > start:
                continue
            weight = 0.9 if name == names[-1] and steps == 1 else 0.6
            reach = (place.block, place.index - 1, place.index + 1)
            moved = new + text[at:start]
            yield Edit(
                place,
                at,
                end,
                moved.rstrip("\n") + "\n" if text[start:end].endswith("\n") else moved,
                weight,
                f"`{short(place.text)}` moves into the block",
                reach,
            )
        last = current.blocks[names[-1]].places[-1] if names else None
        current = last if last is not None and last.blocks else None


def hoist(place: Place) -> Iterator[Edit]:
    """A statement in a block moves before it, and a statement before a block moves to its beginning."""
    if not place.movable or place.indent is None or not isinstance(place.node, ast.stmt) or place.blocks:
        return
    parent = place.parent
    text = place.source.text
    start, end = place.rows
    around = parent is not None and isinstance(parent.node, ast.If | Loop | ast.With) and parent.alone
    if parent is not None and parent.indent is not None and around and len(place.block.places) > 1:
        new = reindented(text[start:end], place.indent, parent.indent)
        begin = parent.rows[0]
        if new is not None:
            reach = (parent.block, parent.index, parent.index + 1)
            yield Edit(
                place, begin, end, new + text[begin:start], 0.7, f"`{short(place.text)}` moves before the block", reach
            )
    if place.index + 1 < len(place.block.places):
        following = place.block.places[place.index + 1]
        if isinstance(following.node, ast.If | Loop | ast.With) and following.alone:
            first = following.blocks["body"].places[0]
            new = reindented(text[start:end], place.indent, first.indent) if first.indent is not None else None
            if new is not None:
                at = first.rows[0]
                reach = (place.block, place.index, place.index + 2)
                yield Edit(
                    place, start, at, text[end:at] + new, 0.8, f"`{short(place.text)}` moves into the block", reach
                )
        if isinstance(following.node, Loop) and following.alone and isinstance(following.node, ast.For | ast.While):
            last = following.blocks["body"].places[-1]
            new = reindented(text[start:end], place.indent, last.indent) if last.indent is not None else None
            if new is not None and last.alone:
                at = last.rows[1]
                reach = (place.block, place.index, place.index + 2)
                yield Edit(
                    place,
                    start,
                    at,
                    text[end:at] + new,
                    0.3,
                    f"`{short(place.text)}` moves to the end of the loop",
                    reach,
                )


def wait(place: Place) -> Iterator[Edit]:
    """`await` missing or too much; `async` missing or too much."""
    inside = place.function is not None and isinstance(place.function.node, ast.AsyncFunctionDef)
    for node in place.all(ast.Call):
        parent = place.module.parent(node)
        if inside and not isinstance(parent, ast.Await):
            known = _is_coroutine(place, node)
            text = place.segment(node)
            yield place.swap(node, f"await {text}", weight=1.0 if known else 0.5)
    for node in place.all(ast.Await):
        yield place.swap(node, place.segment(node.value), weight=0.5)
    node = place.node
    if isinstance(node, ast.For) and inside:
        yield place.splice(place.start, place.start, "async ", weight=0.6, note="`for` becomes `async for`")
    elif isinstance(node, ast.With) and inside:
        yield place.splice(place.start, place.start, "async ", weight=0.6, note="`with` becomes `async with`")
    elif isinstance(node, ast.AsyncFor | ast.AsyncWith):
        found = re.match(r"async\s+", place.text)
        if found:
            yield place.splice(place.start, place.start + found.end(), "", weight=0.6, note="`async` is dropped")


def _is_coroutine(place: Place, node: ast.Call) -> bool:
    name = (
        node.func.id
        if isinstance(node.func, ast.Name)
        else node.func.attr
        if isinstance(node.func, ast.Attribute)
        else ""
    )
    if name in {"sleep", "gather", "wait", "wait_for", "get", "put", "join", "acquire", "drain"}:
        return True
    return any(
        isinstance(other.node, ast.AsyncFunctionDef) and other.node.name == name for other in place.module.functions
    )


def else_branch(place: Place) -> Iterator[Edit]:
    """A missing `else` with a return, a jump or a copied update."""
    node = place.node
    if not isinstance(node, ast.If) or "orelse" in place.blocks or not place.alone or place.indent is None:
        return
    inner = place.blocks["body"].places[0]
    if inner.indent is None or not inner.alone:
        return
    bodies: list[tuple[str, float]] = []
    if place.loop is not None:
        bodies += [("break", 0.7), ("continue", 0.3)]
    if place.function is not None:
        bodies += [(f"return {text}", 0.4) for text, _ in _returned(place)[:6]]
    for variable in place.scope.variables.values():
        if variable.origin == "local" and "int" in variable.kinds:
            bodies += [
                (f"{variable.name} = 0", 0.4),
                (f"{variable.name} += 1", 0.3),
                (f"{variable.name} = 1", 0.25),
                (f"{variable.name} -= 1", 0.2),
            ]
    at = place.rows[1]
    if not place.source.text[:at].endswith(("\n", "\r")):
        return
    for body, weight in bodies:
        new = f"{place.indent}else:\n{indented(body, inner.indent)}\n"
        reach = (place.block, place.index, place.index + 1)
        start = place.rows[0]
        if start <= at:
            yield Edit(place, at, at, new, weight, f"`else: {body}` is added", reach)


PATTERNS = (
    Pattern("result", "flow", "another value should be returned", 0.3, result, result),
    Pattern("missing-return", "flow", "a result is computed and dropped", 0.5, missing_return),
    Pattern("return-kind", "flow", "return, yield and raise are confused", 0.4, return_kind),
    Pattern("jump", "flow", "break, continue and return are confused", 0.55, jump, jump),
    Pattern(
        "loop-kind",
        "flow",
        "a condition is tested once where it should be repeated, or the reverse",
        0.35,
        loop_kind,
        loop_kind,
    ),
    Pattern(
        "branch-kind",
        "flow",
        "branches exclude each other that should not, or the reverse",
        0.45,
        branch_kind,
        branch_kind,
    ),
    Pattern(
        "branch-order",
        "flow",
        "branches are tested in the wrong order",
        0.3,
        branch_order,
        branch_order,
        structural=True,
    ),
    Pattern(
        "needless-block",
        "flow",
        "a condition or loop around statements does not belong there",
        0.2,
        unwrap,
        structural=True,
    ),
    Pattern(
        "needless-else",
        "flow",
        "statements run only in the other case and should always run",
        0.3,
        flatten_else,
        make_else,
        structural=True,
    ),
    Pattern(
        "missing-else",
        "flow",
        "statements always run and should run only in the other case",
        0.2,
        make_else,
        flatten_else,
        structural=True,
    ),
    Pattern("depth", "flow", "a statement stands at the wrong depth", 0.5, depth, depth, structural=True),
    Pattern(
        "hoist",
        "flow",
        "a statement runs inside a block and should run before it, or the reverse",
        0.35,
        hoist,
        hoist,
        structural=True,
    ),
    Pattern("await", "flow", "await is missing or too much", 0.5, wait, wait),
    Pattern("else-branch", "flow", "the other case is not handled", 0.12, else_branch, structural=True, ceiling=0.7),
)
