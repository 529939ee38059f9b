"""What can be known of values by reading source code (``audit.static``), and which operators on them multiply."""
# A function here has a case for each form or kind.
# ruff: noqa: PLR0911

from __future__ import annotations

import ast
from collections.abc import Iterable
from enum import Enum


class Kind(Enum):
    """What is known of a value."""

    INT = "a whole number"
    INTS = "a sequence of whole numbers"
    PA = "a PA number"
    FRACTION = "a fraction"
    TENSOR = "a tensor"
    SEQUENCE = "a sequence"
    UNKNOWN = "unknown"
    OPEN = "not yet read"  # while the names of a scope are being settled: agrees with all


_SEQUENCES = frozenset(["str", "bytes", "list", "tuple", "List", "Tuple", "Sequence"])
_NAMED = {
    "int": Kind.INT,
    "bool": Kind.INT,
    "PA": Kind.PA,
    "Fraction": Kind.FRACTION,
    "Tensor": Kind.TENSOR,
    **dict.fromkeys(_SEQUENCES, Kind.SEQUENCE),
}


def annotated(annotation: ast.expr | None) -> Kind:
    """The kind that an annotation promises."""
    match annotation:
        case ast.Constant(value=str(text)):
            return annotated(ast.parse(text, mode="eval").body)
        case ast.Name(id=name):
            return _NAMED.get(name, Kind.UNKNOWN)
        case ast.Attribute(attr="Size"):
            return Kind.INTS
        case ast.Attribute(value=ast.Name(id="torch"), attr="Tensor"):
            return Kind.TENSOR
        case ast.Subscript(value=ast.Name(id="Final"), slice=inner):
            return annotated(inner)
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _SEQUENCES | {"Iterable", "Iterator"}:
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            kinds = {annotated(part) for part in parts if not _is_ellipsis(part)}
            return Kind.INTS if kinds == {Kind.INT} else Kind.SEQUENCE
    return Kind.UNKNOWN


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def joined(kinds: Iterable[Kind]) -> Kind:
    """The one kind of several values."""
    found = set(kinds) - {Kind.OPEN}
    return found.pop() if len(found) == 1 else Kind.UNKNOWN if found else Kind.OPEN


def of_operation(op: ast.operator, a: Kind, b: Kind) -> Kind:
    """The kind of a result."""
    if Kind.TENSOR in (a, b):
        return Kind.TENSOR
    if Kind.PA in (a, b):
        return Kind.PA
    if Kind.OPEN in (a, b):
        return Kind.OPEN
    if a is b is Kind.INT:
        return Kind.UNKNOWN if isinstance(op, ast.Div) else Kind.INT
    if {a, b} <= _EXACT:
        return Kind.INT if isinstance(op, ast.FloorDiv) else Kind.UNKNOWN if isinstance(op, ast.Pow) else Kind.FRACTION
    if isinstance(op, ast.Add | ast.Mult) and {a, b} <= {Kind.INTS, Kind.INT}:
        return Kind.INTS
    return Kind.SEQUENCE if Kind.SEQUENCE in (a, b) else Kind.UNKNOWN


_EXACT = {Kind.INT, Kind.FRACTION}


def is_free(op: ast.operator, a: Kind, b: Kind) -> bool:
    """True if the operator multiplies no numbers of Python, or none but whole ones.

    With a tensor the operation is PyTorch's, seen when it runs; that of fractions is on their whole numbers.
    """
    sequences = (Kind.SEQUENCE, Kind.INTS)
    if Kind.TENSOR in (a, b):
        return True
    if isinstance(op, ast.MatMult):
        return False
    if Kind.PA in (a, b):
        return isinstance(op, ast.Mult | ast.Div | ast.Pow)
    if isinstance(op, ast.Mult) and (a in sequences or b in sequences):
        return True
    if isinstance(op, ast.Mod) and a is Kind.SEQUENCE:
        return True
    if a is b is Kind.INT:
        return not isinstance(op, ast.Div)
    return {a, b} <= _EXACT and not isinstance(op, ast.Pow)
