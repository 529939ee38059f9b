"""Fixed-point functions of the schedules against Python's floats and decimals."""

from __future__ import annotations

import math
import random
from decimal import Decimal, localcontext

import pytest

from mulfree.numerics import scalar
from mulfree.numerics.fixed_point import _LOGS, LOG_BITS, exp2, log2, power, repeated
from mulfree.numerics.formats import INF, ONE

bits = scalar.bits


def test_the_table_of_logarithms() -> None:
    with localcontext(prec=50):
        for k, digit in enumerate(_LOGS, 1):
            exact = (1 + Decimal(2) ** -k).ln() / Decimal(2).ln() * Decimal(2) ** LOG_BITS
            assert abs(digit - exact) <= Decimal("0.5")


def test_logarithms_and_powers_of_two() -> None:
    source = random.Random(0)
    for _ in range(2000):
        x = scalar.value(bits(2.0 ** source.uniform(-120, 120)))
        assert abs(log2(bits(x)) / 2.0**LOG_BITS - math.log2(x)) < 2.0**-39
        exponent = source.uniform(-120, 120)
        result = scalar.value(exp2(int(exponent * 2.0**LOG_BITS)))
        assert abs(result / 2.0**exponent - 1) < 2.0**-23
    assert log2(ONE) == 0
    assert exp2(0) == ONE
    assert exp2(-150 << LOG_BITS) == 0
    assert exp2(128 << LOG_BITS) == INF


@pytest.mark.parametrize("word", [0, 1, INF, 0x7FC00000, 0xBF800000])
def test_logarithms_of_what_has_none(word: int) -> None:
    with pytest.raises(ValueError, match="positive, finite and normal"):
        log2(word)


def test_repeated_is_a_product() -> None:
    source = random.Random(1)
    for _ in range(200):
        a, b = source.randrange(-(1 << 70), 1 << 70), source.randrange(1 << 60)
        assert repeated(a, b) == a * b


@pytest.mark.parametrize("base", [0.9, 0.1, 0.9999, 1.0, 1.5])
@pytest.mark.parametrize("exponent", [0, 1, 2, 7, 100])
def test_powers(base: float, exponent: int) -> None:
    expected = scalar.value(bits(base)) ** exponent
    result = scalar.value(power(bits(base), exponent))
    assert abs(result / expected - 1) < 2.0**-22 if expected > 2.0**-126 else result == 0


def test_powers_at_the_ends() -> None:
    assert power(0, 0) == ONE
    assert power(0, 3) == 0
    assert power(bits(0.25), 1, fraction_bits=1) == bits(0.5)
    assert abs(scalar.value(power(bits(0.3), 3, fraction_bits=1)) / 0.3**1.5 - 1) < 2.0**-22
