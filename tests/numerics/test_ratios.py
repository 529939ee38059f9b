"""Ratios rounded in integer arithmetic, beside Python's fractions."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mulfree.numerics import ratios

_WIDE = st.integers(-(1 << 200), 1 << 200)


@given(_WIDE, st.integers(1, 1 << 200))
def test_values_are_the_nearest_binary64(numerator: int, denominator: int) -> None:
    assert ratios.value(numerator, denominator) == float(Fraction(numerator, denominator))


def test_ties_go_to_even() -> None:
    whole = 1 << ratios.DOUBLE
    assert ratios.value(whole + 1, 1) == float(whole)
    assert ratios.value(whole + 3, 1) == float(whole + 4)
    assert ratios.value(-(whole + 3), 1) == float(-whole - 4)
