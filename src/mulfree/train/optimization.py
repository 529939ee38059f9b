"""Optimizer, schedule and clipping, in the arithmetic of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

import mulfree.optim
from mulfree.train.arithmetic import Arithmetic
from mulfree.train.errors import ConfigError
from mulfree.train.settings import OptimizerSettings, ScheduleSettings


def make_optimizer(model: nn.Module, settings: OptimizerSettings, arithmetic: Arithmetic) -> Optimizer:
    """``torch.optim``'s or ``mulfree.optim``'s optimizer, in two groups where vectors do not decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [{"params": parameters, "weight_decay": settings.weight_decay}]
    if not settings.decay_vectors and settings.weight_decay:
        groups[0]["params"] = [p for p in parameters if p.dim() > 1]
        groups.append({"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0})
    groups = [group for group in groups if group["params"]]
    library: Any = mulfree.optim if arithmetic.free_steps else torch.optim
    if settings.kind == "sgd":
        optimizer: Optimizer = library.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov
        )
    else:
        optimizer = library.AdamW(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)
    return optimizer


def make_schedule(
    optimizer: Optimizer, settings: ScheduleSettings, arithmetic: Arithmetic, warmup: int, total: int
) -> LRScheduler:
    """The schedule of ``total`` steps with ``warmup`` steps of warm-up; one ``step()`` after each training step.

    Raises:
        ConfigError: the warm-up is longer than the training, or a rate is above the highest one.
    """
    if settings.kind == "cosine" and warmup >= total:
        raise ConfigError(f"schedule: the warm-up must be shorter than the training of {total} steps, got {warmup}")
    lowest = min(float(group["lr"]) for group in optimizer.param_groups)
    for name in ("min_lr", "warmup_start_lr"):
        rate = getattr(settings, name)
        if rate is not None and rate > lowest:
            raise ConfigError(f"schedule.{name} must be at most the highest rate {lowest:g}, got {rate:g}")
    start = settings.warmup_start_lr
    if not arithmetic.free_steps:
        return LambdaLR(optimizer, _factor(settings, lowest, warmup, total))
    if settings.kind == "cosine":
        return mulfree.optim.WarmupCosineLR(optimizer, total, warmup, settings.min_lr, start_lr=start)
    if settings.kind == "constant":
        return mulfree.optim.WarmupConstantLR(optimizer, warmup, start_lr=start)
    return mulfree.optim.InverseSquareRootLR(optimizer, warmup)


def _factor(settings: ScheduleSettings, lr: float, warmup: int, total: int) -> Callable[[int], float]:
    """The formulas of ``mulfree.optim.schedules`` in ordinary arithmetic, as factors of the highest rate."""
    lowest = settings.min_lr / lr
    start = settings.warmup_start_lr

    def factor(step: int) -> float:
        if step < warmup:
            if start is None:
                return (step + 1) / (warmup + 1)
            return start / lr + (1 - start / lr) * step / warmup
        if settings.kind == "constant":
            return 1.0
        if settings.kind == "inverse_sqrt":
            return math.sqrt((warmup + 1) / (step + 1))
        done = min(step - warmup, total - warmup) / (total - warmup)
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * done)) / 2

    return factor


def clip(parameters: Iterable[Tensor], norm: float, arithmetic: Arithmetic) -> None:
    """Scale the gradients together so that their Euclidean norm is at most ``norm``; nothing for 0."""
    if norm:
        library: Any = mulfree.optim if arithmetic.free_steps else nn.utils
        library.clip_grad_norm_(parameters, norm)
