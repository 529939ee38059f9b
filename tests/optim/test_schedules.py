"""The schedule against math.cos, its exact ends, its state."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch

from mulfree.numerics import scalar
from mulfree.numerics.fixed_point import _ANGLES, _GAIN, BITS, fraction, half_cosine
from mulfree.optim import AdamW, WarmupCosineLR

BASE = 3e-3


def schedule(*args: Any, lr: Any = BASE, **kwargs: Any) -> WarmupCosineLR:
    return WarmupCosineLR(AdamW([torch.nn.Parameter(torch.ones(1))], lr=lr), *args, **kwargs)


def rates(chosen: WarmupCosineLR, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(chosen.get_last_lr()[0])
        chosen.optimizer.step()
        chosen.step()
    return found


def test_constants() -> None:
    for i, angle in enumerate(_ANGLES):
        assert abs(angle - math.atan(2.0**-i) / math.pi * 2.0**BITS) <= 1
    assert abs(_GAIN - math.prod(math.cos(math.atan(2.0**-i)) for i in range(len(_ANGLES))) * 2.0**BITS) <= 1


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 7), (7, 7), (1, 3), (22, 1000), (10**12 - 1, 10**12)])
def test_fraction(numerator: int, denominator: int) -> None:
    assert fraction(numerator, denominator) == (numerator << BITS) // denominator


def test_half_cosine() -> None:
    angles = [(k << BITS) // 997 for k in range(998)]
    for angle in angles:
        expected = (1 + math.cos(math.pi * angle / 2**BITS)) / 2
        assert abs(half_cosine(angle) / 2**BITS - expected) < 2.0**-31
    assert [half_cosine(k << (BITS - 1)) for k in range(3)] == [1 << BITS, 1 << (BITS - 1), 0]


def test_a_base_rate_of_one_shows_the_factors() -> None:
    found = rates(schedule(110, 10, lr=1.0), 120)
    for t, rate in enumerate(found):
        cosine = (1 + math.cos(math.pi * min(t - 10, 100) / 100)) / 2
        expected = (t + 1) / 11 if t < 10 else cosine
        assert abs(rate - expected) < 1e-7


def test_ends_are_exact() -> None:
    found = rates(schedule(20, 4, min_lr=1e-5), 25)
    assert found[4] == scalar.value(scalar.bits(BASE))
    assert all(rate == scalar.value(scalar.bits(1e-5)) for rate in found[20:])
    assert all(a > b for a, b in pairwise(found[4:21]))
    assert all(a < b for a, b in pairwise(found[:5]))
    assert rates(schedule(10), 1) == [scalar.value(scalar.bits(BASE))]


def test_the_rate_is_a_pa_product() -> None:
    found = rates(schedule(8), 3)[2]
    factor = scalar.from_fixed_point(half_cosine(fraction(2, 8)), BITS)
    assert scalar.bits(found) == scalar.mul(scalar.bits(BASE), factor)


def test_state_can_be_saved() -> None:
    whole, first, second = (schedule(30, 5) for _ in range(3))
    expected = rates(whole, 30)
    start = rates(first, 12)
    second.load_state_dict(first.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    assert start + rates(second, 18) == expected


def test_tensor_rates_stay_tensors() -> None:
    rate = torch.tensor(BASE)
    chosen = schedule(10, 2, lr=rate)
    rates(chosen, 10)
    assert isinstance(chosen.optimizer.param_groups[0]["lr"], torch.Tensor)
    assert chosen.optimizer.param_groups[0]["lr"] == 0.0


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((5, 5), {}, "total_steps"),
        ((5, -1), {}, "warmup_steps"),
        ((5,), {"min_lr": 1.0}, "min_lr"),
        ((5,), {"min_lr": -1.0}, "min_lr"),
    ],
)
def test_errors(args: tuple[int, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule(*args, **options)
