"""The schedule against math.cos, its exact ends, its state."""

from __future__ import annotations

import copy
import inspect
import math
import re
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from mulfree.numerics import scalar
from mulfree.numerics.fixed_point import _ANGLES, _GAIN, BITS, fraction, half_cosine
from mulfree.optim import (
    SGD,
    AdamW,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    InverseSquareRootLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
    WarmupConstantLR,
    WarmupCosineLR,
)

BASE = 3e-3


def schedule(*args: Any, lr: Any = BASE, **kwargs: Any) -> WarmupCosineLR:
    return WarmupCosineLR(AdamW([torch.nn.Parameter(torch.ones(1))], lr=lr), *args, **kwargs)


def rates(chosen: lr_scheduler.LRScheduler, steps: int) -> list[float]:
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


LENGTH = 25
PAIRS: list[tuple[Any, Any, dict[str, Any]]] = [
    (ConstantLR, lr_scheduler.ConstantLR, {"factor": 0.25, "total_iters": 4}),
    (LinearLR, lr_scheduler.LinearLR, {"start_factor": 0.1, "total_iters": 10}),
    (LinearLR, lr_scheduler.LinearLR, {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 20}),
    (StepLR, lr_scheduler.StepLR, {"step_size": 7, "gamma": 0.3}),
    (MultiStepLR, lr_scheduler.MultiStepLR, {"milestones": [3, 9, 9, 20], "gamma": 0.5}),
    (ExponentialLR, lr_scheduler.ExponentialLR, {"gamma": 0.95}),
    (PolynomialLR, lr_scheduler.PolynomialLR, {"total_iters": 20, "power": 0.9}),
    (PolynomialLR, lr_scheduler.PolynomialLR, {"total_iters": 20, "power": 2.0}),
    (CosineAnnealingLR, lr_scheduler.CosineAnnealingLR, {"T_max": 10}),
]
pairs = pytest.mark.parametrize(("ours", "theirs", "options"), PAIRS, ids=lambda x: getattr(x, "__name__", None))


def made(kind: Any, options: dict[str, Any], lr: Any = 1.0) -> Any:
    return kind(SGD([torch.nn.Parameter(torch.ones(1))], lr=lr), **options)


@pairs
def test_with_a_base_rate_of_one_the_rates_are_torchs(ours: Any, theirs: Any, options: dict[str, Any]) -> None:
    """A product with one is exact, so the factors themselves are compared."""
    mine, torchs = rates(made(ours, options), LENGTH), rates(made(theirs, options), LENGTH)
    assert mine == pytest.approx(torchs, rel=1e-6, abs=1e-7)


@pairs
def test_names_and_state_dicts_are_torchs(ours: Any, theirs: Any, options: dict[str, Any]) -> None:
    assert inspect.signature(ours) == inspect.signature(theirs)
    mine, torchs = made(ours, options), made(theirs, options)
    assert issubclass(ours, theirs)
    assert mine.state_dict().keys() == torchs.state_dict().keys()
    rates(torchs, 5)
    mine.load_state_dict(torchs.state_dict())
    assert mine.last_epoch == 5


@pytest.mark.parametrize(
    ("kind", "options"),
    [(kind, options) for kind, _, options in PAIRS]
    + [(InverseSquareRootLR, {"warmup_steps": 4}), (WarmupConstantLR, {"warmup_steps": 4})],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_a_resumed_schedule_goes_on_exactly(kind: Any, options: dict[str, Any]) -> None:
    whole = rates(made(kind, options, lr=0.3), LENGTH)
    first, second = made(kind, options, lr=0.3), made(kind, options, lr=0.3)
    start = rates(first, 11)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    assert start + rates(second, LENGTH - 11) == whole
    assert all(scalar.value(scalar.bits(rate)) == rate for rate in whole)


def test_cosine_annealing_ends_at_its_minimum_and_returns() -> None:
    found = rates(made(CosineAnnealingLR, {"T_max": 8, "eta_min": 0.125}, lr=0.5), 33)
    assert found[0] == found[16] == found[32] == 0.5
    assert found[8] == found[24] == 0.125
    assert found[3] == found[13] == found[19]


def test_inverse_square_root() -> None:
    found = rates(made(InverseSquareRootLR, {"warmup_steps": 9}), 200)
    for t, rate in enumerate(found):
        assert rate == pytest.approx((t + 1) / 10 if t < 10 else math.sqrt(10 / (t + 1)), rel=1e-6)
    assert found[9] == 1.0
    assert found[39] == 0.5
    assert rates(made(InverseSquareRootLR, {}), 4)[3] == 0.5


def test_warm_up_to_a_constant() -> None:
    assert rates(made(WarmupConstantLR, {"warmup_steps": 3}), 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rates(made(WarmupConstantLR, {}), 2) == [1.0, 1.0]


def test_one_after_another() -> None:
    optimizer = SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    parts = [LinearLR(optimizer, 0.25, total_iters=3), ExponentialLR(optimizer, 0.5)]
    found = rates(lr_scheduler.SequentialLR(optimizer, parts, [3]), 6)
    assert found == [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (InverseSquareRootLR, {"warmup_steps": -1}, "warmup_steps"),
        (WarmupConstantLR, {"warmup_steps": -1}, "warmup_steps"),
        (PolynomialLR, {"power": -1.0}, "power"),
        (ExponentialLR, {"gamma": -0.5}, "gamma"),
        (LinearLR, {"start_factor": 0.0}, "factor"),
    ],
)
def test_bad_settings_of_the_others(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(kind, options)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (WarmupConstantLR, {"warmup_steps": "x"}, "WarmupConstantLR(): argument 'warmup_steps' must be a whole number"),
        (ExponentialLR, {"gamma": "x"}, "ExponentialLR(): argument 'gamma' must be a number, got str 'x'"),
        (LinearLR, {"start_factor": None}, "LinearLR(): argument 'start_factor' must be a number, got NoneType"),
    ],
)
def test_settings_of_a_wrong_type(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        made(kind, options)
    with pytest.raises(TypeError, match="argument 'optimizer' must be"):
        kind(3, **options)
