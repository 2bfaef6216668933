"""The names that can be seen at a place, what they are, and how alike two names are."""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from thinklonger.agent.solver import kinds
from thinklonger.agent.solver.kinds import UNKNOWN, Kinds

if TYPE_CHECKING:
    from thinklonger.agent.solver.module import Module
    from thinklonger.agent.solver.place import Place

Function = ast.FunctionDef | ast.AsyncFunctionDef
BUILTINS = frozenset(vars(builtins))

_PAIRS = (
    ("left", "right"), ("lo", "hi"), ("low", "high"), ("start", "end"), ("start", "stop"), ("begin", "end"),
    ("min", "max"), ("first", "last"), ("row", "col"), ("rows", "cols"), ("r", "c"), ("width", "height"), ("w", "h"),
    ("src", "dst"), ("source", "target"), ("key", "value"), ("k", "v"), ("prev", "next"), ("prev", "curr"),
    ("prev", "current"), ("old", "new"), ("parent", "child"), ("head", "tail"), ("i", "j"), ("j", "k"), ("x", "y"),
    ("a", "b"), ("b", "c"), ("m", "n"), ("p", "q"), ("u", "v"), ("l", "r"), ("lower", "upper"), ("read", "write"),
    ("get", "set"), ("push", "pop"), ("add", "remove"), ("before", "after"), ("node", "parent"), ("index", "value"),
    ("in", "out"), ("input", "output"), ("from", "to"), ("total", "count"), ("front", "back"), ("up", "down"),
    ("top", "bottom"), ("open", "close"), ("inner", "outer"), ("fast", "slow"), ("num", "den"), ("sum", "count"),
)  # fmt: skip
"""Names that stand for two sides of one thing, and so are taken for each other."""

_STEM = 3
"""So many letters in common at the beginning make two names alike."""
_TWINS = frozenset({frozenset(pair) for pair in _PAIRS})


@lru_cache(maxsize=20_000)
def words(name: str) -> frozenset[str]:
    """The words of an identifier, in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return frozenset(word for word in re.split(r"[_\W]+", spaced.lower()) if word)


@lru_cache(maxsize=20_000)
def alike(one: str, other: str) -> float:
    """How easily one name is written for another, in [0, 1]: shared words, shared beginnings, opposite pairs."""
    if frozenset((one, other)) in _TWINS:
        return 1.0
    first, second = words(one), words(other)
    if first & second or any(frozenset((x, y)) in _TWINS for x in first for y in second):
        return 0.95
    if len(one) == len(other) == 1:
        return 0.8
    if one.startswith(other) or other.startswith(one) or (one[:_STEM] == other[:_STEM] and len(one) > _STEM):
        return 0.85
    return 0.55


@dataclass(frozen=True, slots=True)
class Variable:
    """A name: its origin (`parameter`, `local`, `closure`, `module`), its kinds, the line that first binds it."""

    name: str
    origin: str
    kinds: Kinds
    line: int


@dataclass(frozen=True, slots=True)
class Callee:
    """A function that can be called by its name (or as `self.name`): how many arguments it takes."""

    name: str
    required: int
    most: int
    method: bool


class Scope:
    """The names seen inside one function, or at a module's top level."""

    def __init__(self, module: "Module", owner: "Place | None") -> None:
        """Prepare; each table is computed when it is first asked for."""
        self.module = module
        self.owner = owner

    @classmethod
    def of(cls, module: "Module", owner: "Place | None") -> "Scope":
        """The scope of a function, or of the module."""
        return cls(module, owner)

    @cached_property
    def enclosing(self) -> "Scope | None":
        """The scope of the function around this one, or the module's; None for the module's."""
        if self.owner is None:
            return None
        return self.module.scope(self.owner.parent) if self.owner.parent is not None else self.module_scope

    @cached_property
    def module_scope(self) -> "Scope":
        """The scope of the module's top level."""
        return self if self.owner is None else Scope(self.module, None)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The function's parameters, in order, `self` and `cls` of a method left out."""
        if self.owner is None:
            return ()
        found = [argument.arg for argument in arguments(self.owner.node)]
        if self.is_method and found and found[0] in {"self", "cls"}:
            found = found[1:]
        return tuple(found)

    @property
    def is_method(self) -> bool:
        """Whether the function stands in a class."""
        return self.owner is not None and self.owner.parent is not None and self.owner.parent is self.owner.klass

    @cached_property
    def variables(self) -> Mapping[str, Variable]:
        """All variables that can be seen, own ones first."""
        found: dict[str, Variable] = {}
        own = self._kinds
        lines = self._bound
        for name in self.parameters:
            found[name] = Variable(name, "parameter", own.get(name, UNKNOWN), 0)
        origin = "local" if self.owner is not None else "module"
        for name, line in lines.items():
            if name not in found and name not in {"self", "cls", "_"}:
                found[name] = Variable(name, origin, own.get(name, UNKNOWN), line)
        if self.enclosing is not None:
            for variable in self.enclosing.variables.values():
                if variable.name not in found:
                    outer = "module" if variable.origin == "module" else "closure"
                    found[variable.name] = Variable(variable.name, outer, variable.kinds, 0)
        return found

    def kinds_of(self, node: ast.expr) -> Kinds:
        """The kinds of an expression's value here."""
        return kinds.of(node, self.lookup)

    def lookup(self, name: str) -> Kinds:
        """The kinds of a name, or of `self.name`."""
        if name.startswith("self."):
            klass = self.owner.klass if self.owner is not None else None
            return self.module_facts.attribute_kinds(klass).get(name[5:], UNKNOWN)
        variable = self.variables.get(name)
        if variable is None and name in self._fleeting:
            return self._kinds.get(name, UNKNOWN)
        return variable.kinds if variable is not None else UNKNOWN

    def is_bound(self, name: str, place: "Place") -> bool:
        """Whether a name can have a value when a statement begins; flow through branches is left out.

        False means that reading the name there raises UnboundLocalError or NameError, whatever the input.
        """
        line = self._bound.get(name)
        if line is None or name in self.outer or line < place.line:
            return True
        outermost = place.loop
        while outermost is not None and outermost.loop is not None:
            outermost = outermost.loop
        return outermost is not None and outermost.line <= line <= outermost.last_line

    @cached_property
    def outer(self) -> frozenset[str]:
        """The names that the function declares as global or nonlocal."""
        found = (node.names for node in self._body_nodes if isinstance(node, ast.Global | ast.Nonlocal))
        return frozenset(name for names in found for name in names)

    @property
    def module_facts(self) -> "Facts":
        """What the file as a whole tells."""
        return self.module.facts

    @cached_property
    def visible(self) -> frozenset[str]:
        """Every name that may be read here: variables, functions, classes, imports, built-ins."""
        extra: frozenset[str] = frozenset({"self"} if self.owner is not None and self.owner.klass is not None else ())
        return frozenset(self.variables) | self.module_facts.globals | BUILTINS | extra | self._inner_functions

    @cached_property
    def _inner_functions(self) -> frozenset[str]:
        if self.owner is None:
            return frozenset()
        own = {node.name for node in self._body_nodes if isinstance(node, Function | ast.ClassDef)}
        return frozenset(own).union(self.enclosing._inner_functions if self.enclosing else ())  # noqa: SLF001 - own class

    @cached_property
    def read(self) -> frozenset[str]:
        """The names that the function reads, its nested functions included."""
        root: ast.AST = self.owner.node if self.owner is not None else self.module.source.tree
        return frozenset(
            node.id for node in ast.walk(root) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        )

    @cached_property
    def _body_nodes(self) -> tuple[ast.AST, ...]:
        """The nodes of the function itself, nested functions' insides left out."""
        root: ast.AST = self.owner.node if self.owner is not None else self.module.source.tree
        return tuple(_own_nodes(root))

    @cached_property
    def _targets(self) -> frozenset[ast.AST]:
        """The targets of comprehensions, which nobody outside of them sees."""
        comprehensions = (node for node in self._body_nodes if isinstance(node, ast.comprehension))
        return frozenset(inner for node in comprehensions for inner in ast.walk(node.target))

    @cached_property
    def _fleeting(self) -> frozenset[str]:
        """The names that comprehensions bind."""
        return frozenset(node.id for node in self._targets if isinstance(node, ast.Name))

    @cached_property
    def _bound(self) -> dict[str, int]:
        lines: dict[str, int] = {}
        for node in self._body_nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in self._targets:
                lines.setdefault(node.id, node.lineno)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                lines.setdefault(node.name, node.lineno)
        if self.owner is not None:
            for argument in arguments(self.owner.node):
                lines.setdefault(argument.arg, 0)
        return lines

    @cached_property
    def _kinds(self) -> dict[str, Kinds]:
        """What each own name is, from annotations, defaults, assignments and uses; two passes, flow left out."""
        found: dict[str, Kinds] = {}

        def lookup(name: str) -> Kinds:
            if name in found:
                return found[name]
            return self.enclosing.lookup(name) if self.enclosing is not None and "." not in name else UNKNOWN

        for name, more in self._declared(lookup):
            found[name] = found.get(name, UNKNOWN) | more
        for node in (*self._body_nodes, *self._body_nodes):
            for name, more in _learn(node, lookup):
                found[name] = found.get(name, UNKNOWN) | more
        guessed = {name for name, known in found.items() if not known}
        for node in self._body_nodes:
            for name, more in _guess(node):
                if name in guessed or name not in found:
                    guessed.add(name)
                    found[name] = found.get(name, UNKNOWN) or more
        return found

    def _declared(self, lookup: "kinds.Callable[[str], Kinds]") -> Iterator[tuple[str, Kinds]]:
        """What annotations and defaults of the parameters say."""
        for argument, default in with_defaults(self.owner.node) if self.owner is not None else ():
            yield argument.arg, kinds.of_annotation(argument.annotation)
            if default is not None and not (isinstance(default, ast.Constant) and default.value is None):
                yield argument.arg, kinds.of(default, lookup)


def _own_nodes(root: ast.AST) -> Iterator[ast.AST]:
    """All nodes below a function or module, stopping at nested functions and classes (which are themselves given)."""
    stack = list(ast.iter_child_nodes(root))[::-1]
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            stack.extend(list(ast.iter_child_nodes(node))[::-1])


def arguments(node: ast.AST) -> list[ast.arg]:
    """All parameters of a function, in order."""
    if not isinstance(node, Function | ast.Lambda):
        return []
    spec = node.args
    star = [spec.vararg] if spec.vararg else []
    double = [spec.kwarg] if spec.kwarg else []
    return [*spec.posonlyargs, *spec.args, *star, *spec.kwonlyargs, *double]


def with_defaults(node: ast.AST) -> list[tuple[ast.arg, ast.expr | None]]:
    """The parameters of a function with their defaults."""
    if not isinstance(node, Function | ast.Lambda):
        return []
    plain = [*node.args.posonlyargs, *node.args.args]
    padding: list[ast.expr | None] = [None] * (len(plain) - len(node.args.defaults))
    return [
        *zip(plain, [*padding, *node.args.defaults], strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]


def _learn(node: ast.AST, lookup: "kinds.Callable[[str], Kinds]") -> Iterator[tuple[str, Kinds]]:
    """What one node says for certain about names."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _assigned(target, value, lookup)
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
            yield name, kinds.of_annotation(annotation)
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            yield name, kinds.of(value, lookup)
        case ast.For(target=target, iter=source) | ast.comprehension(target=target, iter=source):
            yield from _iterated(target, source, lookup)
        case _:
            return


def _assigned(target: ast.expr, value: ast.expr, lookup: "kinds.Callable[[str], Kinds]") -> Iterator[tuple[str, Kinds]]:
    if isinstance(target, ast.Name):
        yield target.id, kinds.of(value, lookup)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _assigned(one, other, lookup)


def _iterated(
    target: ast.expr, source: ast.expr, lookup: "kinds.Callable[[str], Kinds]"
) -> Iterator[tuple[str, Kinds]]:
    match target, source:
        case ast.Name(id=name), ast.Call(func=ast.Name(id="range")):
            yield name, kinds.INT
        case ast.Tuple(elts=[ast.Name(id=name), *_]), ast.Call(func=ast.Name(id="enumerate")):
            yield name, kinds.INT
        case ast.Name(id=name), ast.Call(func=ast.Attribute(attr="split" | "rsplit" | "splitlines")):
            yield name, kinds.STR
        case ast.Tuple(elts=[_, ast.Name(id=name)]), ast.Call(func=ast.Name(id="enumerate"), args=[value, *_]) if (
            kinds.of(value, lookup) == kinds.STR
        ):
            yield name, kinds.STR
        case ast.Name(id=name), _ if kinds.of(source, lookup) == kinds.STR:
            yield name, kinds.STR
        case _:
            return


def _guess(node: ast.AST) -> Iterator[tuple[str, Kinds]]:  # noqa: C901, PLR0912 - one case for each kind of node
    """What one use makes likely about a name of which nothing certain is known."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in kinds.OWNERS:
            yield name, kinds.OWNERS[method]
        case ast.Call(
            func=ast.Name(id="len" | "sorted" | "sum" | "enumerate" | "reversed"), args=[ast.Name(id=name), *_]
        ):
            yield name, kinds.LIST
        case ast.Call(func=ast.Name(id="range"), args=args):
            for argument in args:
                if isinstance(argument, ast.Name):
                    yield argument.id, kinds.INT
        case ast.Call(func=ast.Name(id=name)):
            yield name, kinds.CALLABLE
        case ast.Compare(left=ast.Name(id=name), comparators=[ast.Constant(value=value), *_]) if value is not None:
            yield name, kinds.of_constant(value)
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())):
            yield name, kinds.DICT
        case ast.Subscript(value=ast.Name(id=name), slice=where):
            yield name, kinds.LIST
            if isinstance(where, ast.Name):
                yield where.id, kinds.INT
        case ast.BinOp(op=ast.Add() | ast.Sub(), left=ast.Name(id=name), right=ast.Constant(value=int())):
            yield name, kinds.INT
        case ast.For(iter=ast.Name(id=name)) | ast.comprehension(iter=ast.Name(id=name)):
            yield name, kinds.LIST
        case ast.Attribute(value=ast.Name(id=name)) if name != "self":
            yield name, kinds.OBJECT
        case _:
            return


class Facts:
    """What a file as a whole tells: its functions, classes, attributes, literals and conditions."""

    def __init__(self, module: "Module") -> None:
        """Prepare; each table is computed when it is first asked for."""
        self.module = module
        self._attributes: dict[object, dict[str, Kinds]] = {}

    @cached_property
    def globals(self) -> frozenset[str]:
        """All names bound at the top level."""
        found: set[str] = set()
        for node in _own_nodes(self.module.source.tree):
            match node:
                case ast.Name(id=name, ctx=ast.Store()):
                    found.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.alias(name=name, asname=asname):
                    found.add(asname or name.partition(".")[0])
                case _:
                    pass
        return frozenset(found)

    @cached_property
    def callees(self) -> tuple[Callee, ...]:
        """The file's own functions and methods."""
        found: list[Callee] = []
        for place in self.module.functions:
            if not isinstance(place.node, Function):
                continue
            method = place.parent is not None and place.parent is place.klass
            plain = [*place.node.args.posonlyargs, *place.node.args.args]
            bound = 1 if method and plain and plain[0].arg in {"self", "cls"} else 0
            most = len(plain) - bound
            found.append(Callee(place.node.name, most - len(place.node.args.defaults), most, method))
        return tuple(found)

    def attribute_kinds(self, klass: "Place | None") -> dict[str, Kinds]:
        """The attributes that a class's methods set on `self` and its body defines, with their kinds."""
        key = klass
        if key not in self._attributes:
            self._attributes[key] = self._collect(klass) if klass is not None else {}
        return self._attributes[key]

    def _collect(self, klass: "Place") -> dict[str, Kinds]:
        found: dict[str, Kinds] = {}
        for node in ast.walk(klass.node):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        for name in _self_attributes(target):
                            found[name] = found.get(name, UNKNOWN) | kinds.of(value, lambda _: UNKNOWN)
                case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=annotation):
                    found[name] = found.get(name, UNKNOWN) | kinds.of_annotation(annotation)
                case ast.Attribute(value=ast.Name(id="self"), attr=name):
                    found.setdefault(name, UNKNOWN)
                case _:
                    pass
        for node in getattr(klass.node, "body", ()):
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    found[name] = kinds.of_annotation(annotation)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found[name] = kinds.of(value, lambda _: UNKNOWN)
                case _:
                    pass
        return found

    @cached_property
    def attributes(self) -> Mapping[str, int]:
        """All attribute names of the file that are not called, and how often each is used."""
        called = {id(node.func) for node in ast.walk(self.module.source.tree) if isinstance(node, ast.Call)}
        found: dict[str, int] = {}
        for node in ast.walk(self.module.source.tree):
            if isinstance(node, ast.Attribute) and id(node) not in called:
                found[node.attr] = found.get(node.attr, 0) + 1
        return found

    @cached_property
    def literals(self) -> tuple[ast.Constant, ...]:
        """All literals of the file that are not docstrings, in source order, each value once."""
        documentation = {id(node.value) for node in ast.walk(self.module.source.tree) if isinstance(node, ast.Expr)}
        seen: set[tuple[type, object]] = set()
        found: list[ast.Constant] = []
        for node in ast.walk(self.module.source.tree):
            if isinstance(node, ast.Constant) and id(node) not in documentation:
                key = (type(node.value), node.value)
                if key not in seen:
                    seen.add(key)
                    found.append(node)
        return tuple(found)


def _self_attributes(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            yield name
        case ast.Tuple(elts=elts):
            for element in elts:
                yield from _self_attributes(element)
        case _:
            return
