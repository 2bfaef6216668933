"""What kind of value an expression is, as far as its own text tells: a set of kinds, empty where nothing is known."""

import ast
from collections.abc import Callable
from typing import TypeAlias

Kinds: TypeAlias = frozenset[str]

UNKNOWN: Kinds = frozenset()
INT: Kinds = frozenset({"int"})
FLOAT: Kinds = frozenset({"float"})
STR: Kinds = frozenset({"str"})
BOOL: Kinds = frozenset({"bool"})
LIST: Kinds = frozenset({"list"})
DICT: Kinds = frozenset({"dict"})
SET: Kinds = frozenset({"set"})
TUPLE: Kinds = frozenset({"tuple"})
CALLABLE: Kinds = frozenset({"callable"})
OBJECT: Kinds = frozenset({"object"})
NONE: Kinds = frozenset({"none"})
NUMBERS = frozenset({"int", "float"})
SEQUENCES = frozenset({"list", "tuple", "str", "deque"})
SIZED = SEQUENCES | {"dict", "set"}

CALLS: dict[str, Kinds] = {
    "len": INT, "int": INT, "ord": INT, "hash": INT, "id": INT, "round": INT, "abs": INT, "sum": INT, "pow": INT,
    "float": FLOAT, "str": STR, "repr": STR, "chr": STR, "format": STR, "input": STR, "bool": BOOL, "any": BOOL,
    "all": BOOL, "isinstance": BOOL, "callable": BOOL, "hasattr": BOOL, "list": LIST, "sorted": LIST, "dict": DICT,
    "defaultdict": DICT, "Counter": DICT, "OrderedDict": DICT, "set": SET, "frozenset": SET, "tuple": TUPLE,
    "range": frozenset({"iterator"}), "enumerate": frozenset({"iterator"}), "zip": frozenset({"iterator"}),
    "map": frozenset({"iterator"}), "filter": frozenset({"iterator"}), "reversed": frozenset({"iterator"}),
    "iter": frozenset({"iterator"}), "deque": frozenset({"deque", "list"}), "floor": INT, "ceil": INT, "sqrt": FLOAT,
    "isqrt": INT, "gcd": INT, "Decimal": FLOAT, "Fraction": FLOAT, "deepcopy": UNKNOWN,
}  # fmt: skip
"""What built-in and well-known functions return."""

METHODS: dict[str, Kinds] = {
    "split": LIST, "rsplit": LIST, "splitlines": LIST, "strip": STR, "lstrip": STR, "rstrip": STR, "lower": STR,
    "upper": STR, "title": STR, "capitalize": STR, "replace": STR, "join": STR, "format": STR, "zfill": STR,
    "ljust": STR, "rjust": STR, "center": STR, "removeprefix": STR, "removesuffix": STR, "decode": STR, "find": INT,
    "rfind": INT, "index": INT, "count": INT, "startswith": BOOL, "endswith": BOOL, "isdigit": BOOL, "isalpha": BOOL,
    "isalnum": BOOL, "isspace": BOOL, "isupper": BOOL, "islower": BOOL, "items": frozenset({"view"}),
    "keys": frozenset({"view"}), "values": frozenset({"view"}), "copy": UNKNOWN, "union": SET, "intersection": SET,
    "difference": SET, "append": NONE, "extend": NONE, "insert": NONE, "sort": NONE, "reverse": NONE, "add": NONE,
    "remove": NONE, "update": NONE, "total_seconds": FLOAT, "bit_length": INT,
}  # fmt: skip
"""What well-known methods return."""

OWNERS: dict[str, Kinds] = {
    **dict.fromkeys(("append", "extend", "insert", "sort", "reverse"), LIST),
    **dict.fromkeys(("appendleft", "popleft"), frozenset({"deque"})),
    **dict.fromkeys(("items", "keys", "values", "setdefault", "get"), DICT),
    **dict.fromkeys(("add", "discard", "union", "issubset"), SET),
    **dict.fromkeys(
        ("split", "strip", "lstrip", "rstrip", "lower", "upper", "startswith", "endswith", "join", "replace", "isdigit",
         "isalpha", "isspace", "isalnum", "splitlines", "format", "encode", "zfill", "title"), STR),
}  # fmt: skip
"""What a receiver is, by the method that is called on it."""

ANNOTATIONS: dict[str, Kinds] = {
    "int": INT, "float": FLOAT, "str": STR, "bool": BOOL, "list": LIST, "List": LIST, "dict": DICT, "Dict": DICT,
    "Mapping": DICT, "set": SET, "Set": SET, "frozenset": SET, "tuple": TUPLE, "Tuple": TUPLE, "Callable": CALLABLE,
    "Iterable": frozenset({"iterator"}), "Iterator": frozenset({"iterator"}), "Sequence": LIST, "None": NONE,
}  # fmt: skip


def of_annotation(node: ast.expr | None) -> Kinds:
    """The kinds that an annotation names."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return ANNOTATIONS.get(name, OBJECT if name[:1].isupper() else UNKNOWN)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inside):
            return of_annotation(inside) | NONE
        case ast.Subscript(value=value):
            return of_annotation(value)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return of_annotation(left) | of_annotation(right)
        case ast.Constant(value=str() | None as name):
            return ANNOTATIONS.get(name or "None", UNKNOWN)
        case _:
            return UNKNOWN


def of_constant(value: object) -> Kinds:
    """The kind of a literal."""
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return STR
        case None:
            return NONE
        case _:
            return UNKNOWN


def of(node: ast.expr, lookup: Callable[[str], Kinds]) -> Kinds:  # noqa: C901, PLR0911, PLR0912 - one case for each kind of node
    """The kinds that an expression's value can have; `lookup` knows the names."""
    match node:
        case ast.Constant(value=value):
            return of_constant(value)
        case ast.Name(id=name):
            return lookup(name)
        case ast.JoinedStr():
            return STR
        case ast.List() | ast.ListComp():
            return LIST
        case ast.Dict() | ast.DictComp():
            return DICT
        case ast.Set() | ast.SetComp():
            return SET
        case ast.Tuple():
            return TUPLE
        case ast.GeneratorExp():
            return frozenset({"iterator"})
        case ast.Lambda():
            return CALLABLE
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return BOOL
        case ast.UnaryOp(operand=operand):
            return of(operand, lookup)
        case ast.BoolOp(values=values):
            return frozenset[str]().union(*(of(value, lookup) for value in values))
        case ast.IfExp(body=body, orelse=orelse):
            return of(body, lookup) | of(orelse, lookup)
        case ast.BinOp():
            return _of_operation(node, lookup)
        case ast.Call(func=ast.Name(id=name)):
            return CALLS.get(name, OBJECT if name[:1].isupper() else UNKNOWN)
        case ast.Call(func=ast.Attribute(attr=name)):
            return METHODS.get(name, CALLS.get(name, UNKNOWN))
        case ast.Subscript(value=value, slice=ast.Slice()):
            return of(value, lookup)
        case ast.Subscript(value=value) if of(value, lookup) == STR:
            return STR
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return lookup(f"self.{name}")
        case _:
            return UNKNOWN


def _of_operation(node: ast.BinOp, lookup: Callable[[str], Kinds]) -> Kinds:
    left, right = of(node.left, lookup), of(node.right, lookup)
    if isinstance(node.op, ast.Div):
        return FLOAT
    if isinstance(node.op, ast.Mod) and left == STR:
        return STR
    both = left | right
    for kinds in (STR, LIST, TUPLE, SET):
        if kinds in (left, right):
            return kinds
    if both >= FLOAT:
        return FLOAT
    return INT if INT & both else (left or right)


def fit(have: Kinds, want: Kinds) -> float:
    """How well a value of one kind stands in for another, in [0, 1]."""
    if not have or not want:
        return 0.55
    if have & want:
        return 1.0
    if have <= NUMBERS and want <= NUMBERS:
        return 0.9
    if have & SEQUENCES and want & SEQUENCES:
        return 0.4
    if "none" in have | want:
        return 0.3
    return 0.08
