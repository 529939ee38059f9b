"""The operators of PA numbers are the law's."""

from __future__ import annotations

import random

import pytest

from mulfree.numerics import rows, scalar
from mulfree.numerics.number import PA

bits = scalar.bits


def test_operators_are_the_law() -> None:
    source = random.Random(0)
    for _ in range(300):
        a, b = source.gauss(0, 3), source.gauss(0, 3)
        x, y = bits(a), bits(b)
        for left, right in ((PA(a), PA(b)), (PA(a), b), (a, PA(b))):
            assert (left + right).word == scalar.add(x, y)
            assert (left - right).word == scalar.add(x, scalar.negate(y))
            assert (left * right).word == scalar.mul(x, y)
            assert (left / right).word == scalar.div(x, y)
        assert (-PA(a)).word == scalar.negate(x)
        assert abs(PA(a)).word == bits(abs(a))
        assert PA(abs(a)).sqrt().word == rows.sqrt(bits(abs(a)))


def test_powers() -> None:
    x = bits(1.3)
    assert (PA(1.3) ** 5).word == scalar.power(x, 5)
    assert (PA(1.3) ** 0).word == bits(1.0)
    assert (PA(1.3) ** -2).word == scalar.div(bits(1.0), scalar.power(x, 2))
    assert (PA(1.3) ** 0.25).word == scalar.exp2(scalar.mul(scalar.log2(x), bits(0.25)))


def test_numbers_compare_and_convert() -> None:
    third = PA(1) / 3
    assert float(third) == 0.375
    assert PA(2) == 2.0 == float(PA(2))
    assert PA(1) < PA(2) <= 2
    assert PA(3) > 2 >= PA(2)
    assert len({PA(2), PA(2.0), PA(3)}) == 2
    assert PA(2) != "2"
    assert PA(1) and not PA(0)
    assert repr(PA(0.5)) == "PA(0.5)"
    assert PA(PA(0.1)) == PA(0.1) == PA.of_word(bits(0.1))


def test_numbers_do_not_change() -> None:
    with pytest.raises(AttributeError, match="word"):
        PA(1).word = 0
