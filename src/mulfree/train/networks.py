"""The two networks of a comparison: model, loss, optimizer and schedule, in ordinary and in PA arithmetic."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor, nn

import mulfree.nn
import mulfree.optim
from mulfree.convert import convert
from mulfree.policy import Group, Policy
from mulfree.train.config import PolicyName, TrainingConfig

NetworkName = Literal["standard", "mulfree"]
NAMES: tuple[NetworkName, ...] = get_args(NetworkName)


class Schedule(Protocol):
    """Sets the learning rate of the next step."""

    def step(self) -> None: ...


@dataclass(frozen=True)
class Network:
    """All that a training step needs."""

    name: NetworkName
    label: str
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    schedule: Schedule


_MATMUL = replace(Policy.matmul_only(), softmax=Group())
"""An attention module is converted as a whole, so its softmax goes with its matrix products."""


def names(policy: PolicyName) -> tuple[NetworkName, ...]:
    """The networks that a run with this policy compares."""
    return ("standard",) if policy == "standard" else ("standard", "mulfree")


def label(name: NetworkName, policy: PolicyName) -> str:
    """How a network is called in tables and figures."""
    if name == "standard":
        return "standard"
    return "multiplication-free" if policy == "full" else "multiplication-free matmul and softmax"


def build(name: NetworkName, initial: nn.Module, config: TrainingConfig, steps_per_epoch: int) -> Network:
    """Network ``name`` with a copy of the weights of ``initial``.

    Raises:
        ValueError: an unknown name.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    model = copy.deepcopy(initial)
    warmup, total = config.warmup_epochs * steps_per_epoch, config.epochs * steps_per_epoch
    warmup = min(warmup, total - 1)
    if name == "mulfree":
        model = convert(model, Policy.full() if config.policy == "full" else _MATMUL)
    if name == "mulfree" and config.policy == "full":
        return _multiplication_free(model, config, warmup, total)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return Network(
        name=name,
        label=label(name, config.policy),
        model=model,
        loss=nn.CrossEntropyLoss(label_smoothing=config.label_smoothing),
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warmup_cosine(step, warmup, total)),
    )


def _multiplication_free(model: nn.Module, config: TrainingConfig, warmup: int, total: int) -> Network:
    optimizer = mulfree.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return Network(
        name="mulfree",
        label=label("mulfree", config.policy),
        model=model,
        loss=mulfree.nn.CrossEntropyLoss(label_smoothing=config.label_smoothing),
        optimizer=optimizer,
        schedule=mulfree.optim.WarmupCosineLR(optimizer, warmup_steps=warmup, total_steps=total),
    )


def _warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Factor of the learning rate in ordinary arithmetic: linear up to 1, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
