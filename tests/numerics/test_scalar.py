"""The scalar law against the paper's equations in exact rationals, IEEE arithmetic and hand-made values."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from mulfree.numerics import scalar
from mulfree.numerics.formats import INF, LN2, MAX, MIN, NAN, ONE, SIGN
from mulfree.numerics.scalar import bits
from tests.backends.patterns import SPECIAL_WORDS

NEGATIVE_INF = SIGN | INF


def parts(word: int) -> tuple[int, int, Fraction]:
    """Sign, exponent and mantissa of a normal number: (-1)**S 2**E (1 + M)."""
    return word >> 31, (word >> 23 & 0xFF) - 127, Fraction(word & 0x7FFFFF, 1 << 23)


def number(sign: int, exponent: int, mantissa: Fraction) -> Fraction:
    return (-1) ** sign * Fraction(2) ** exponent * (1 + mantissa)


def rational(word: int) -> Fraction:
    """The number a normal or zero word stands for."""
    return number(*parts(word)) if word & 0x7F800000 else Fraction(0)


def nearest(value: Fraction) -> int:
    """Half-even binary32 of a rational; the results at hand need at most 53 bits."""
    as_float = float(value)
    assert Fraction(as_float) == value
    word = int(np.float32(as_float).view(np.uint32))
    return word & SIGN if word & 0x7FFFFFFF < MIN else word


def normals(count: int, seed: int, spread: int = 60) -> list[int]:
    source = random.Random(seed)
    low, high = 127 - spread, 127 + spread
    fields = ((source.getrandbits(1), source.randint(low, high), source.getrandbits(23)) for _ in range(count))
    return [sign << 31 | exponent << 23 | mantissa for sign, exponent, mantissa in fields]


def pairs(count: int, seed: int, spread: int = 60) -> list[tuple[int, int]]:
    return list(zip(normals(count, seed, spread), normals(count, seed + 1, spread), strict=True))


def test_mul_is_equations_5_to_8() -> None:
    for a, b in pairs(5000, 0):
        (s_a, e_a, m_a), (s_b, e_b, m_b) = parts(a), parts(b)
        carry = m_a + m_b >= 1
        expected = number((s_a + s_b) % 2, e_a + e_b + carry, m_a + m_b - carry)
        assert rational(scalar.mul(a, b)) == expected


def test_div_is_equations_14_to_17() -> None:
    for a, b in pairs(5000, 2):
        (s_a, e_a, m_a), (s_b, e_b, m_b) = parts(a), parts(b)
        borrow = m_a - m_b < 0
        expected = number((s_a + s_b) % 2, e_a - e_b - borrow, m_a - m_b + borrow)
        assert rational(scalar.div(a, b)) == expected


def test_compensation_scales_the_product() -> None:
    for alpha in (1.0625, 0.7, 4.0):
        offset = scalar.compensation_offset(bits(alpha))
        for a, b in pairs(500, 4):
            assert scalar.mul(a, b, offset) == scalar.mul(scalar.mul(a, b), bits(alpha))
    for bad in (0, 1, SIGN | ONE, INF, NAN):
        with pytest.raises(ValueError, match="compensation"):
            scalar.compensation_offset(bad)


def fixed_point(x: int) -> Fraction:
    """x rounded half-even to 23 fraction bits."""
    return Fraction(round(rational(x) * (1 << 23)), 1 << 23)


def test_exp2_is_equation_9() -> None:
    for x in normals(3000, 6, 7) + normals(3000, 7, 40):
        rounded = fixed_point(x)
        whole = math.floor(rounded)
        result = scalar.exp2(x)
        if whole >= 128:
            assert result == INF
        elif whole < -126:
            assert result == 0
        else:
            assert rational(result) == number(0, whole, rounded - whole)


def test_log2_is_equation_10() -> None:
    for x in [word & ~SIGN for word in normals(5000, 8, 126) + normals(2000, 9, 1)]:
        _, exponent, mantissa = parts(x)
        assert scalar.log2(x) == nearest(exponent + mantissa)


def test_exp2_undoes_log2_where_nothing_is_rounded() -> None:
    for x in range(ONE >> 1 & ~0x3FFFFF, ONE + (2 << 23), 0x1357 << 8):
        assert scalar.exp2(scalar.log2(x)) == x or abs(rational(scalar.log2(x))) >= 2


TABLE = [
    (scalar.mul, (bits(1.5), bits(1.5)), bits(2.0)),
    (scalar.mul, (bits(3.0), bits(-5.0)), bits(-14.0)),
    (scalar.mul, (bits(2.0), bits(7.0)), bits(14.0)),
    (scalar.div, (bits(2.0), bits(1.5)), bits(1.5)),
    (scalar.div, (bits(1.0), bits(3.0)), bits(0.375)),
    (scalar.exp2, (bits(0.5),), bits(1.5)),
    (scalar.exp2, (bits(-0.5),), bits(0.75)),
    (scalar.exp2, (bits(127.5),), bits(1.5 * 2.0**127)),
    (scalar.exp2, (bits(128.0),), INF),
    (scalar.exp2, (bits(-126.0),), MIN),
    (scalar.exp2, (bits(np.nextafter(np.float32(-126), np.float32(-127)).item()),), 0),
    (scalar.exp2, (bits(2.0**-24),), ONE),
    (scalar.exp2, (bits(3 * 2.0**-24),), ONE + 2),
    (scalar.exp2, (bits(-(2.0**-24)),), ONE),
    (scalar.exp2, (bits(-(2.0**-23)),), ONE - 1),
    (scalar.exp2, (MAX,), INF),
    (scalar.exp2, (SIGN | MAX,), 0),
    (scalar.exp2, (INF,), INF),
    (scalar.exp2, (NEGATIVE_INF,), 0),
    (scalar.log2, (bits(3.0),), bits(1.5)),
    (scalar.log2, (bits(0.75),), bits(-0.5)),
    (scalar.log2, (ONE,), 0),
    (scalar.log2, (MIN,), bits(-126.0)),
    (scalar.log2, (MAX,), bits(128.0)),
    (scalar.log2, (0,), NEGATIVE_INF),
    (scalar.log2, (SIGN,), NEGATIVE_INF),
    (scalar.log2, (1,), NEGATIVE_INF),
    (scalar.log2, (bits(-1.0),), NAN),
    (scalar.log2, (INF,), INF),
    (scalar.log2, (NEGATIVE_INF,), NAN),
    (scalar.mul, (MIN, bits(0.75)), 0),
    (scalar.mul, (SIGN | MIN, bits(0.75)), SIGN),
    (scalar.mul, (MAX, bits(1.5)), INF),
    (scalar.mul_grad, (ONE, bits(1.75), bits(1.5)), bits(2.0)),
    (scalar.mul_grad, (ONE, 0, bits(-1.5)), bits(-1.0)),
    (scalar.mul_grad, (ONE, INF, bits(-1.5)), bits(-1.0)),
    (scalar.mul_grad, (bits(2.0**-100), bits(2.0**-100), bits(2.0**100)), ONE),
    (scalar.div_grad_numerator, (ONE, bits(1.25), bits(3.0)), bits(0.25)),
    (scalar.div_grad_denominator, (ONE, bits(-3.0), bits(2.0)), bits(0.5)),
    (scalar.exp2_grad, (bits(3.0), bits(1.5)), bits(6.0)),
    (scalar.log2_grad, (bits(3.0), bits(5.0)), bits(0.75)),
    (scalar.log2_grad, (bits(3.0), bits(-5.0)), bits(-0.75)),
    (scalar.negate, (NAN,), NAN),
    (scalar.negate, (0,), SIGN),
    (scalar.floor, (bits(-0.5),), bits(-1.0)),
    (scalar.floor, (bits(2.75),), bits(2.0)),
    (scalar.floor, (SIGN | 1,), SIGN),
]


@pytest.mark.parametrize(("function", "operands", "expected"), TABLE)
def test_values_by_hand(function: Callable[..., int], operands: tuple[int, ...], expected: int) -> None:
    assert hex(function(*operands)) == hex(expected)


def _flushed(word: int) -> np.float32:
    return np.uint32(scalar.flush(word)).view(np.float32)


@pytest.mark.parametrize(("ours", "ieee"), [(scalar.mul, np.multiply), (scalar.div, np.divide)])
def test_special_operands_follow_ieee(ours: Callable[[int, int], int], ieee: np.ufunc) -> None:
    """Where an operand is zero, infinite or NaN, the result is IEEE's, but for the payload of a NaN."""
    special = [word for word in SPECIAL_WORDS if word & 0x7F800000 in (0, INF)]
    with np.errstate(all="ignore"):
        for a in special:
            for b in SPECIAL_WORDS:
                for x, y in ((a, b), (b, a)):
                    expected = ieee(_flushed(x), _flushed(y))
                    word = NAN if np.isnan(expected) else int(expected.view(np.uint32))
                    assert hex(ours(x, y)) == hex(word), (hex(x), hex(y))


def test_add_is_ieee_with_flushed_operands_and_results() -> None:
    source = random.Random(10)
    random_pairs = [(source.getrandbits(32), source.getrandbits(32)) for _ in range(3000)]
    near = [(a, a + source.randint(-3, 3) & 0xFFFFFFFF ^ SIGN) for a in normals(2000, 11, 126)]
    tiny = [(source.choice((0, SIGN)) | source.randint(0, 2 * MIN), source.randint(0, 2 * MIN)) for _ in range(2000)]
    tiny += [(a, b | SIGN) for a, b in tiny]
    specials = [(a, b) for a in SPECIAL_WORDS for b in SPECIAL_WORDS]
    with np.errstate(all="ignore"):
        for a, b in [*random_pairs, *near, *tiny, *specials, *pairs(3000, 12)]:
            total = _flushed(a) + _flushed(b)
            expected = NAN if np.isnan(total) else scalar.flush(int(total.view(np.uint32)))
            assert hex(scalar.add(a, b)) == hex(expected), (hex(a), hex(b))


@pytest.mark.parametrize("mantissa_bits", range(1, 24))
def test_narrow_rounds_half_even(mantissa_bits: int) -> None:
    ties = [word & -(1 << 22 - mantissa_bits) if mantissa_bits < 23 else word for word in normals(200, 13)]
    for word in normals(200, 14) + ties:
        sign, exponent, mantissa = parts(word)
        rounded = Fraction(round((1 + mantissa) * (1 << mantissa_bits)), 1 << mantissa_bits)
        assert rational(scalar.narrow(word, mantissa_bits)) == (-1) ** sign * Fraction(2) ** exponent * rounded
    for word in (0, SIGN, INF, NEGATIVE_INF):
        assert scalar.narrow(word, mantissa_bits) == word
    assert scalar.narrow(SIGN | 0x7FFFFF, mantissa_bits) == SIGN
    assert scalar.narrow(0xFF812345, mantissa_bits) == NAN
    assert scalar.narrow(MAX, mantissa_bits) == (MAX if mantissa_bits == 23 else INF)


def test_narrow_checks_its_argument() -> None:
    for bad in (0, 24):
        with pytest.raises(ValueError, match="mantissa_bits"):
            scalar.narrow(ONE, bad)


def test_floor() -> None:
    for word in normals(3000, 15, 30):
        assert rational(scalar.floor(word)) == math.floor(rational(word))


# Exact derivatives are finite differences inside a segment.


def same_segment(*words: int) -> bool:
    return words[0] >> 23 == words[1] >> 23


def check_slope(
    function: Callable[[int], int], slope: int, x: int, step: int = 1, counted: list[int] | None = None
) -> None:
    """slope == (f(x') - f(x)) / (x' - x) if x, x' and the values lie in one segment each."""
    other = x + step
    y, y_other = function(x), function(other)
    if same_segment(x, other) and same_segment(y, y_other):
        assert rational(slope) == (rational(y_other) - rational(y)) / (rational(other) - rational(x))
        if counted is not None:
            counted.append(x)


def test_exact_derivatives_of_products_and_quotients_are_finite_differences() -> None:
    seen: list[int] = []
    for a, b in pairs(3000, 16, 30):
        check_slope(lambda x: scalar.mul(x, b), scalar.mul_grad(ONE, a, b), a, counted=seen)  # noqa: B023
        check_slope(lambda x: scalar.div(x, b), scalar.div_grad_numerator(ONE, a, b), a, counted=seen)  # noqa: B023
        # The quotient falls as b grows: its exponent at b is that at the next b unless the mantissas are equal.
        if (a ^ b) & 0x7FFFFF:
            slope = scalar.div_grad_denominator(ONE, a, b)
            check_slope(lambda x: scalar.div(a, x), slope, b, counted=seen)  # noqa: B023
    assert len(seen) > 8900


def test_exact_derivatives_with_compensation_are_finite_differences() -> None:
    offset = scalar.compensation_offset(bits(1.3))
    for a, b in pairs(1000, 18, 30):
        check_slope(lambda x: scalar.mul(x, b, offset), scalar.mul_grad(ONE, a, b, offset), a)  # noqa: B023


def test_exact_derivatives_of_exp2_and_log2_are_finite_differences() -> None:
    seen: list[int] = []
    source = random.Random(20)
    for _ in range(2000):
        # Few enough bits that neither the fixed point nor the logarithm is rounded.
        x = bits(source.randint(-(100 << 12), 100 << 12) / (1 << 12))
        if x & 0x7FFFFFFF:
            step = 1 << 23 - 12 - parts(x)[1] if parts(x)[1] < 11 else 1
            check_slope(scalar.exp2, scalar.exp2_grad(ONE, x), x, -step if x & SIGN else step, seen)
        x = source.randint(127 - 64, 127 + 64) << 23 | source.getrandbits(12) << 11
        y, other = scalar.log2(x), x + (1 << 11)
        if same_segment(x, other):
            difference = rational(scalar.log2(other)) - rational(y)
            assert rational(scalar.log2_grad(ONE, x)) == difference / (rational(other) - rational(x))
    assert len(seen) > 1000


def test_an_exact_slope_is_applied_to_the_gradient_as_a_power_of_two() -> None:
    for (a, b), grad in zip(pairs(500, 21, 30), normals(500, 22, 5), strict=True):
        for slope in (scalar.mul_grad, scalar.div_grad_numerator, scalar.div_grad_denominator):
            assert rational(slope(grad, a, b)) == rational(slope(ONE, a, b)) * rational(grad)


def test_approximate_derivatives_are_their_formulas() -> None:
    for (a, b), grad in zip(pairs(500, 23, 30), normals(500, 24, 5), strict=True):
        expected = scalar.div(scalar.mul(a, grad), scalar.mul(b, b)) ^ SIGN
        assert scalar.div_grad_denominator_approximate(grad, a, b) == expected
        x = normals(1, a, 6)[0]
        expected = scalar.mul(scalar.mul(scalar.exp2(x), LN2), grad)
        assert scalar.exp2_grad_approximate(grad, x) == expected
        assert scalar.log2_grad_approximate(grad, a) == scalar.div(grad, scalar.mul(a, LN2))


def test_approximate_derivatives_are_near_the_analytic_ones() -> None:
    """A PA product is at most 1/9 too small, a quotient at most 1/8 too large, exp2 at most 6.2 % too large."""
    for a, b in pairs(500, 25, 30):
        ratio = rational(scalar.div_grad_denominator_approximate(ONE, a, b)) / (-rational(a) / rational(b) ** 2)
        assert Fraction(8, 9) <= ratio <= Fraction(9, 8) * Fraction(9, 8)
    for x in normals(500, 27, 5):
        real = 2.0 ** float(rational(x)) * math.log(2)
        if 2.0**-120 < real < 2.0**120:
            assert 8 / 9 <= scalar.value(scalar.exp2_grad_approximate(ONE, x)) / real <= 1.062
        ratio = scalar.value(scalar.log2_grad_approximate(ONE, x)) * float(rational(x)) * math.log(2)
        assert 0.999999 <= ratio <= 9 / 8 * 9 / 8


def test_bits_and_value_are_inverse() -> None:
    for word in (*normals(100, 28, 126), 0, SIGN, INF, NEGATIVE_INF, MIN, MAX, 1):
        assert bits(scalar.value(word)) == word
    assert bits(1e300) == INF
    assert bits(-1e300) == NEGATIVE_INF


def test_no_operation_returns_a_denormal_or_another_nan() -> None:
    functions: list[Callable[[int, int], int]] = [
        scalar.mul,
        scalar.div,
        scalar.add,
        scalar.exp2_grad,
        scalar.exp2_grad_approximate,
        scalar.log2_grad,
        scalar.log2_grad_approximate,
        lambda a, b: scalar.mul_grad(a, b, a),
        lambda a, b: scalar.div_grad_numerator(a, a, b),
        lambda a, b: scalar.div_grad_denominator(b, a, b),
        lambda a, b: scalar.div_grad_denominator_approximate(b, a, b),
        lambda a, b: scalar.exp2(a),
        lambda a, b: scalar.log2(a),
        lambda a, b: scalar.narrow(a, 5),
    ]
    for function in functions:
        for a in SPECIAL_WORDS:
            for b in SPECIAL_WORDS:
                magnitude = function(a, b) & 0x7FFFFFFF
                assert magnitude == 0 or MIN <= magnitude <= INF or function(a, b) == NAN
