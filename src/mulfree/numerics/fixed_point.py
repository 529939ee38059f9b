"""Functions of whole numbers in integer shifts and additions, for the schedules of the learning rate.

They are those of ordinary arithmetic, rounded to fixed point: long division, CORDIC, and logarithms and powers digit
by digit.
"""

from __future__ import annotations

from mulfree.numerics import scalar
from mulfree.numerics.formats import EXPONENT_BIAS, INF, MANTISSA, MANTISSA_BITS, MIN, ONE, STEP

BITS = 48
"""Fraction bits of ``fraction`` and ``half_cosine``."""
_HALF = 1 << (BITS - 1)
_ANGLES = (
    70368744177664, 41541095341030, 21949173906887, 11141743393723, 5592492416177, 2798972482057, 1399827773520,
    699956601769, 349983640994, 174992488033, 87496327459, 43748174160, 21874088384, 10937044355, 5468522198,
    2734261101, 1367130551, 683565276, 341782638, 170891319, 85445659, 42722830, 21361415, 10680707, 5340354,
    2670177, 1335088, 667544, 333772, 166886, 83443, 41722, 20861, 10430,
)  # fmt: skip
"""atan(2**-i) / pi: the angles of the CORDIC rotations, in half turns."""
_GAIN = 170926505739102
"""Product of cos(atan(2**-i)): the length that the rotations stretch to 1."""


def fraction(numerator: int, denominator: int, fraction_bits: int = BITS) -> int:
    """numerator / denominator in [0, 1] as fixed point, rounded down: long division by shift and subtract.

    Raises:
        ValueError: the fraction is not within [0, 1].
    """
    if not 0 <= numerator <= denominator or denominator == 0:
        raise ValueError(f"fraction must be between 0 and 1, got {numerator}/{denominator}")
    quotient, rest = (1, 0) if numerator == denominator else (0, numerator)
    for _ in range(fraction_bits):
        quotient, rest = quotient << 1, rest << 1
        if rest >= denominator:
            quotient, rest = quotient + 1, rest - denominator
    return quotient


def half_cosine(angle: int) -> int:
    """(1 + cos(pi * angle)) / 2 for a fixed-point ``angle`` in [0, 1], by CORDIC; error below 2**-31.

    The ends and the middle are exact: 1, 1/2 and 0.
    """
    if angle == _HALF:
        return _HALF
    if angle > _HALF:
        return (1 << BITS) - half_cosine((1 << BITS) - angle)
    if angle == 0:
        return 1 << BITS
    x, y = _GAIN, 0
    for i, step in enumerate(_ANGLES):
        if angle >= 0:
            x, y, angle = x - (y >> i), y + (x >> i), angle - step
        else:
            x, y, angle = x + (y >> i), y - (x >> i), angle + step
    return min((1 << BITS) + x >> 1, 1 << BITS)


LOG_BITS = 64
"""Fraction bits of logarithms."""
_LOGS = (
    10790653543520307104, 5938525176524057593, 3134563013331062591, 1613404648504497789, 818926958183105433,
    412613322424486499, 207106307442936368, 103754619509458805, 51927872466823974, 25976601570169168,
    12991470209511302, 6496527847636937, 3248462157916594, 1624280643531991, 812152713665686, 406079454902306,
    203040501980337, 101520444623942, 50760270720599, 25380147462480, 12690076756788, 6345039134781, 3172519756487,
    1586259925518, 793129974578, 396564990243, 198282495860, 99141248115, 49570624104, 24785312063, 12392656035,
    6196328018, 3098164009, 1549082005, 774541002, 387270501, 193635251, 96817625, 48408813, 24204406,
)  # fmt: skip
"""log2(1 + 2**-k) for k = 1, 2, ...: the digits of a logarithm."""


def log2(word: int) -> int:
    """Logarithm to base two of a positive, finite, normal binary32 number as fixed point; error below 2**-39.

    The mantissa is reached from 1 by factors 1 + 2**-k, each a shift and an addition; their logarithms are added.

    Raises:
        ValueError: the number is not positive, finite and normal.
    """
    if not MIN <= word < INF:
        raise ValueError(f"number must be positive, finite and normal, got {scalar.value(word)}")
    mantissa = (word & MANTISSA | STEP) << (LOG_BITS - MANTISSA_BITS)
    reached, result = 1 << LOG_BITS, 0
    for k, digit in enumerate(_LOGS, 1):
        if reached + (reached >> k) <= mantissa:
            reached, result = reached + (reached >> k), result + digit
    return result + ((word >> MANTISSA_BITS) - EXPONENT_BIAS << LOG_BITS)


def exp2(number: int) -> int:
    """Two to the power of a fixed-point number, as the bits of a binary32 number; relative error below 2**-23."""
    whole, rest = number >> LOG_BITS, number & ((1 << LOG_BITS) - 1)
    result = 1 << LOG_BITS
    for k, digit in enumerate(_LOGS, 1):
        if rest >= digit:
            result, rest = result + (result >> k), rest - digit
    return scalar.from_fixed_point(result, LOG_BITS - whole)


def repeated(number: int, count: int) -> int:
    """``number`` added ``count`` times, not negative, by doubling."""
    total = 0
    while count:
        total, number, count = total + (number if count & 1 else 0), number << 1, count >> 1
    return total


def power(word: int, exponent: int, fraction_bits: int = 0) -> int:
    """A binary32 number that is not negative to the power exponent * 2**-fraction_bits, not negative; 1 for 0 ** 0.

    Relative error below 2**-22 for exponents up to 2**14.
    """
    if exponent == 0:
        return ONE
    return exp2(repeated(log2(word), exponent) >> fraction_bits) if word >= MIN else 0
