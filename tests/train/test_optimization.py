"""Optimizers and schedules in both arithmetics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import mulfree.optim
from mulfree.train import Arithmetic
from mulfree.train.optimization import make_optimizer, make_schedule
from mulfree.train.settings import OptimizerSettings, ScheduleSettings

STANDARD, FULL = Arithmetic(policy="standard"), Arithmetic(policy="full")
SCHEDULES: tuple[dict[str, Any], ...] = (
    {"kind": "cosine"},
    {"kind": "cosine", "warmup_start_lr": 1e-6, "min_lr": 1e-5},
    {"kind": "constant"},
    {"kind": "constant", "warmup_start_lr": 1e-4},
    {"kind": "inverse_sqrt"},
)


def _rates(arithmetic: Arithmetic, settings: ScheduleSettings, warmup: int = 5, total: int = 20) -> list[float]:
    model = nn.Linear(2, 2)
    optimizer = make_optimizer(model, OptimizerSettings(kind="sgd", lr=0.25), arithmetic)
    schedule = make_schedule(optimizer, settings, arithmetic, warmup, total)
    rates = []
    for _ in range(total + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("options", SCHEDULES)
def test_schedules_agree_within_the_error_of_a_product(options: dict[str, Any]) -> None:
    settings = ScheduleSettings(**options)
    standard, full = _rates(STANDARD, settings), _rates(FULL, settings)
    assert max(standard) == pytest.approx(0.25)
    for ours, theirs in zip(full, standard, strict=True):
        assert theirs * (1 - 1 / 9) - 1e-7 <= ours <= theirs + 1e-7


def test_the_schedule_of_timm() -> None:
    """Linear from the start rate, reaching the highest rate with the last step of the warm-up, then a cosine."""
    rates = _rates(STANDARD, ScheduleSettings(kind="cosine", warmup_start_lr=0.05, min_lr=0.01), warmup=4, total=8)
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.2148528, 0.13, 0.0451472, 0.01])


def test_parameters_that_do_not_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for arithmetic in (STANDARD, FULL):
        settings = OptimizerSettings(kind="adamw", lr=0.1, weight_decay=0.2, decay_vectors=False)
        groups = make_optimizer(model, settings, arithmetic).param_groups
        assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.2), (3, 0.0)]


def test_the_arithmetic_chooses_the_library() -> None:
    for kind in ("adamw", "sgd"):
        settings = OptimizerSettings(kind=kind, lr=0.1)  # type: ignore[arg-type]
        module = type(make_optimizer(nn.Linear(2, 2), settings, FULL)).__module__
        assert module.startswith("mulfree.optim")
        assert type(make_optimizer(nn.Linear(2, 2), settings, Arithmetic(policy="matmul"))).__module__.startswith(
            "torch"
        )


def test_start_rates_are_checked() -> None:
    optimizer = mulfree.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match=r"start_lr must be between 0 and the base rate 0\.1"):
        mulfree.optim.WarmupCosineLR(optimizer, 10, 2, start_lr=0.2)
    with pytest.raises(ValueError, match=r"start_lr must be between 0 and the base rate 0\.1"):
        mulfree.optim.WarmupConstantLR(optimizer, 2, start_lr=-1.0)
