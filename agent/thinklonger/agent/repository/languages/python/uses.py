"""Where a name is used in a Python file: its occurrences in the text, each looked up in the tree."""

import re

from tree_sitter import Node

from thinklonger.agent.repository.languages.python.structure import CLASS, FUNCTION, GRAMMAR, IDENTIFIER, NAME, parse

_PARAMETERS = frozenset(
    {
        "parameters",
        "lambda_parameters",
        "typed_parameter",
        "list_splat_pattern",
        "dictionary_splat_pattern",
    }
)
_NAMED_PARAMETERS = frozenset({"default_parameter", "typed_default_parameter", "keyword_argument"})
_LEFT = GRAMMAR.field_id_for_name("left")


def uses(text: bytes, name: str) -> list[int]:
    """The lines, ascending, on which the identifier is used rather than defined; strings and comments don't count."""
    encoded = name.encode("utf-8", "surrogateescape")
    pattern = re.compile(rb"(?<![A-Za-z0-9_\x80-\xff])" + re.escape(encoded) + rb"(?![A-Za-z0-9_\x80-\xff])")
    spans = [match.span() for match in pattern.finditer(text)]
    if not spans:
        return []
    root = parse(text).root_node
    lines: dict[int, None] = {}
    for start, end in spans:
        node = root.descendant_for_byte_range(start, end)
        if node is not None and node.kind_id == IDENTIFIER and node.start_byte == start and not _defines(node):
            lines[node.start_point[0] + 1] = None
    return list(lines)


def _defines(node: Node) -> bool:
    """Whether the identifier stands where a name is given rather than used."""
    parent = node.parent
    if parent is None:
        return False
    if parent.kind_id in (FUNCTION, CLASS):
        return _is(parent.child_by_field_id(NAME), node)
    if parent.type in _NAMED_PARAMETERS:
        return _is(parent.child_by_field_id(NAME), node)
    if parent.type == "assignment" and _LEFT is not None:
        return _is(parent.child_by_field_id(_LEFT), node)
    return parent.type in _PARAMETERS


def _is(one: Node | None, other: Node) -> bool:
    """Whether both are the same node."""
    return one is not None and one.id == other.id
