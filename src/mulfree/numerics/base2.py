"""The law of softmax and its logarithm in base 2 (section 5 of the paper): those of ``rows.py`` without log2(e)."""

from __future__ import annotations

from mulfree.numerics import scalar
from mulfree.numerics.rows import (
    Row,
    _denominator_grad,
    _exp2_grad,
    _log2_grad,
    _maximum,
    _numerator_grad,
    total,
)
from mulfree.numerics.scalar import add, div, exp2, log2, negate


def _powers(row: Row) -> tuple[int, list[int], list[int]]:
    """n = floor(max x), x - n and exp2(x - n)."""
    shift = scalar.floor(_maximum(row))
    arguments = [add(x, negate(shift)) for x in row]
    return shift, arguments, [exp2(z) for z in arguments]


def softmax2(row: Row) -> list[int]:
    _, _, powers = _powers(row)
    whole = total(powers)
    return [div(e, whole) for e in powers]


def softmax2_grad(grad: Row, row: Row, exact: bool) -> list[int]:
    _, arguments, powers = _powers(row)
    whole = total(powers)
    d_whole = total([_denominator_grad(exact, g, e, whole) for g, e in zip(grad, powers, strict=True)])
    d_powers = [add(_numerator_grad(exact, g, e, whole), d_whole) for g, e in zip(grad, powers, strict=True)]
    return [_exp2_grad(exact, d, z) for d, z in zip(d_powers, arguments, strict=True)]


def log_softmax2(row: Row) -> list[int]:
    shift, _, powers = _powers(row)
    level = add(shift, log2(total(powers)))
    return [add(x, negate(level)) for x in row]


def log_softmax2_grad(grad: Row, row: Row, exact: bool) -> list[int]:
    _, arguments, powers = _powers(row)
    d_whole = _log2_grad(exact, negate(total(grad)), total(powers))
    return [add(g, _exp2_grad(exact, d_whole, z)) for g, z in zip(grad, arguments, strict=True)]
