"""The law on rows: orders of accumulation made visible, and compositions against real arithmetic."""

from __future__ import annotations

import math
import random
from functools import reduce

import pytest

from mulfree.numerics import optimizers, rows, scalar
from mulfree.numerics.formats import INF, LOG2E, NAN, ONE, SIGN
from mulfree.numerics.scalar import add, bits, div, mul, value

MASKED = SIGN | INF


def gaussian(n: int, seed: int, spread: float = 3.0) -> list[int]:
    source = random.Random(seed)
    return [bits(source.gauss(0.0, spread)) for _ in range(n)]


def test_a_dot_product_restarts_its_accumulator_every_256_terms() -> None:
    big, one = bits(2.0**24), ONE
    assert rows.accumulate([big, *[one] * 255]) == big
    assert rows.accumulate([big, *[one] * 255, *[one] * 10]) == bits(2.0**24 + 10)
    assert rows.accumulate([]) == 0
    assert rows.accumulate([SIGN, SIGN]) == 0


def test_a_sum_has_32_lanes_a_tree_and_chunks_of_1024() -> None:
    big, one = bits(2.0**24), ONE
    same_lane = [0] * 33
    same_lane[0], same_lane[32] = big, one
    assert rows.total(same_lane) == big
    same_lane[31] = one  # lane 31 meets lane 15, 7, 3, 1, then 0: still alone
    assert rows.total(same_lane) == big
    pair = [big, *[0] * 14, one, *[0] * 15, one]  # lanes 15 and 31 add up to 2 before they meet lane 0
    assert rows.total(pair) == bits(2.0**24 + 2)
    chunks = [big, *[0] * 1023, one, *[0] * 15, one]  # the second chunk adds up to 2 first
    assert rows.total(chunks) == bits(2.0**24 + 2)
    assert rows.total([]) == 0
    assert rows.total([SIGN] * 40) == 0


def test_sums_of_whole_numbers_are_exact() -> None:
    source = random.Random(1)
    for n in (1, 5, 31, 32, 33, 100, 1023, 1024, 1025, 2050):
        numbers = [source.randint(-1000, 1000) for _ in range(n)]
        words = [bits(float(x)) for x in numbers]
        assert rows.total(words) == rows.accumulate(words) == bits(float(sum(numbers)))


def test_dot_narrows_its_operands() -> None:
    a, b = gaussian(300, 2), gaussian(300, 3)
    for mantissa_bits in (1, 4, 10):
        narrowed = [[scalar.narrow(x, mantissa_bits) for x in row] for row in (a, b)]
        assert rows.dot(a, b, mantissa_bits) == rows.dot(*narrowed)
    assert rows.dot(a, b, 2) != rows.dot(a, b)


@pytest.mark.parametrize("n", [1, 2, 10, 64, 1030])
def test_softmax_is_near_the_real_one(n: int) -> None:
    """paexp2 is at most 6.2 % too large, a PA quotient at most 1/8; the product with log2(e) is taken as it is."""
    row = gaussian(n, n)
    scaled = [value(mul(x, LOG2E)) for x in row]
    highest = max(scaled)
    real = [2.0 ** (z - highest) for z in scaled]
    for ours, power in zip(map(value, rows.softmax(row)), real, strict=True):
        expected = power / sum(real)
        assert expected / 1.0625 <= ours <= expected * 1.0625 * 1.125


def test_a_whole_shift_of_the_scaled_row_changes_no_bit_of_softmax() -> None:
    source = random.Random(5)
    scaled = [source.randint(-(20 << 10), 20 << 10) / (1 << 10) for _ in range(50)]
    for shift in (-40.0, -3.0, 7.0, 60.0):
        first, second = ([div(bits(z + by), LOG2E) for z in scaled] for by in (0.0, shift))
        assert rows.softmax(first) == rows.softmax(second)


def test_softmax_is_the_unshifted_formula_in_range() -> None:
    source = random.Random(6)
    row = [div(bits(source.randint(-(9 << 10), 9 << 10) / (1 << 10)), LOG2E) for _ in range(40)]
    powers = [rows.exp(x) for x in row]
    whole = rows.total(powers)
    assert rows.softmax(row) == [div(power, whole) for power in powers]


def test_masked_entries_get_nothing() -> None:
    row = gaussian(20, 7)
    row[3] = row[9] = MASKED
    result = rows.softmax(row)
    assert result[3] == result[9] == 0
    kept = [x for x in row if x != MASKED]
    assert sum(map(value, result)) == pytest.approx(sum(map(value, rows.softmax(kept))), rel=1e-6)
    assert rows.log_softmax(row)[3] == MASKED
    for exact in (True, False):
        assert rows.softmax_grad(gaussian(20, 8), row, exact)[3] & ~SIGN == 0


def test_rows_without_a_finite_maximum_follow_torch() -> None:
    masked = [MASKED] * 5
    assert rows.softmax(masked) == rows.log_softmax(masked) == [NAN] * 5
    assert rows.logsumexp(masked) == MASKED
    assert rows.logsumexp([ONE, INF]) == INF
    assert rows.softmax([ONE, INF])[1] == NAN
    assert rows.cross_entropy(masked, 2, 0.0) == NAN
    assert rows.logsumexp([ONE, 0xFFC00001]) == NAN


def test_cross_entropy_without_smoothing_is_one_entry() -> None:
    row = gaussian(12, 9)
    assert rows.cross_entropy(row, 4, 0.0) == scalar.negate(rows.log_softmax(row)[4])
    smoothed = value(rows.cross_entropy(row, 4, 0.1))
    logs = [-value(x) for x in rows.log_softmax(row)]
    assert smoothed == pytest.approx(0.9 * logs[4] + 0.1 * sum(logs) / 12, rel=0.15)


def test_layer_norm_is_near_the_real_one() -> None:
    row = gaussian(64, 10)
    numbers = [value(x) for x in row]
    mean = sum(numbers) / 64
    deviation = math.sqrt(sum((x - mean) ** 2 for x in numbers) / 64)
    result = rows.layer_norm(row, [ONE] * 64, [0] * 64, 1e-5)
    for ours, x in zip(map(value, result), numbers, strict=True):
        assert ours == pytest.approx((x - mean) / deviation, rel=0.25, abs=0.01)


def test_power_is_repeated_mul() -> None:
    for base in gaussian(20, 13, 1.0):
        for exponent in (0, 1, 2, 3, 7, 16):
            assert scalar.power(base, exponent) == reduce(mul, [base] * exponent, ONE)


def test_adamw_corrections() -> None:
    beta = bits(0.9)
    assert optimizers.adamw_correction(beta, 1) == add(ONE, beta ^ SIGN)
    assert value(optimizers.adamw_correction(beta, 10)) == pytest.approx(1 - 0.9**10, rel=0.3)
    assert optimizers.adamw_correction(beta, 100_000) == ONE


def test_adamw_is_near_the_real_step() -> None:
    settings = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decay": 1e-3}
    settings |= {"correction1": 0.1, "correction2": 1e-3}
    param, m, v = optimizers.adamw((bits(2.0), bits(0.3), 0, 0), **{key: bits(x) for key, x in settings.items()})
    assert value(m) == pytest.approx(0.03, rel=0.15)
    assert value(v) == pytest.approx(9e-5, rel=0.25)
    assert value(param) == pytest.approx(2.0 - 2e-3 - 1e-2, abs=3e-3)
