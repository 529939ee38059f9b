"""Mantissa bits of both passes of a matrix product in one number, as its operation takes them.

1 to 23 stands for so many bits in both passes; ``forward + 32 * backward`` for different ones. The operations of a
backward pass get those of the backward pass alone.
"""

from __future__ import annotations

from mulfree.numerics.formats import MANTISSA_BITS

_PLACE = 5


def packed(forward: int, backward: int) -> int:
    return forward if forward == backward else forward | backward << _PLACE


def forward_bits(mantissa_bits: int) -> int:
    return mantissa_bits & ((1 << _PLACE) - 1)


def backward_bits(mantissa_bits: int) -> int:
    return mantissa_bits >> _PLACE or mantissa_bits


def is_precision(mantissa_bits: int) -> bool:
    """True if both passes have 1 to 23 bits."""
    return all(1 <= bits <= MANTISSA_BITS for bits in (forward_bits(mantissa_bits), backward_bits(mantissa_bits)))
