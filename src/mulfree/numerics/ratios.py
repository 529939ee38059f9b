"""Ratios of whole numbers rounded to so many significant bits, in integer arithmetic.

Positions and weights of interpolation are such ratios: numbers of the architecture, not of the data.
"""

from __future__ import annotations

import math

from mulfree.numerics import scalar
from mulfree.numerics.formats import MANTISSA_BITS

SINGLE, DOUBLE = MANTISSA_BITS + 1, 53
"""Significant bits of binary32 and binary64."""


def rounded(numerator: int, denominator: int, bits: int) -> tuple[int, int]:
    """The fraction with ``bits`` significant bits and a power of two below it that is nearest, half to even."""
    if numerator == 0:
        return 0, 1
    shift = bits - numerator.bit_length() + denominator.bit_length()
    if _quotient(numerator, denominator, shift)[0].bit_length() > bits:
        shift -= 1
    quotient, twice_rest, divisor = _quotient(numerator, denominator, shift)
    if twice_rest > divisor or (twice_rest == divisor and quotient & 1):
        quotient += 1
    return (quotient, 1 << shift) if shift >= 0 else (quotient << -shift, 1)


def _quotient(numerator: int, denominator: int, shift: int) -> tuple[int, int, int]:
    """numerator 2**shift / denominator rounded down, twice the rest, and the divisor that the rest is of."""
    divisor = denominator << max(0, -shift)
    quotient, rest = divmod(numerator << max(0, shift), divisor)
    return quotient, rest << 1, divisor


def value(numerator: int, denominator: int) -> float:
    """numerator / denominator rounded half-even to binary64; the denominator is positive."""
    quotient, power = rounded(abs(numerator), denominator, DOUBLE)
    magnitude = math.ldexp(float(quotient), 1 - power.bit_length())
    return -magnitude if numerator < 0 else magnitude


def word(numerator: int, denominator: int) -> int:
    """Bits of numerator / denominator, from 2**-126 to 2**23 or zero, rounded half-even to binary32."""
    quotient, power = rounded(numerator, denominator, SINGLE)
    return scalar.from_fixed_point(quotient, power.bit_length() - 1)
