"""What a training run is told, checked at the border."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch

PolicyName = Literal["full", "matmul", "standard"]


class ConfigError(ValueError):
    """An option has a value that cannot be used; the message names it."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training run; both networks get the same.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of a step.
        lr: highest learning rate, reached after the warmup and followed by a half cosine down to zero.
        weight_decay: decoupled decay, per unit of learning rate.
        label_smoothing: share of the target's probability that is spread over all classes, in [0, 1).
        dropout: probability of dropping a feature in training, in [0, 1).
        warmup_epochs: epochs of linearly rising learning rate; less than ``epochs``.
        seed: of the initial weights, the batch order and dropout.
        seeds: number of runs, with ``seed``, ``seed + 1`` and so on.
        device: where to train, such as "cpu".
        threads: threads of PyTorch and of the kernels; None leaves PyTorch's choice.
        policy: what is free of multiplications: "full" everything, "matmul" matrix products and
            the softmax of attention; "standard" trains the standard network alone.
        output_dir: folder of the results; made if missing.

    Raises:
        ConfigError: a value out of its range.
    """

    epochs: int = 40
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    dropout: float = 0.05
    warmup_epochs: int = 2
    seed: int = 0
    seeds: int = 1
    device: str = "cpu"
    threads: int | None = None
    policy: PolicyName = "full"
    output_dir: Path = Path("runs/digits")

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "seeds"):
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        _require("threads", self.threads, self.threads is None or self.threads >= 1, "at least 1")
        _require("seed", self.seed, 0 <= self.seed < 2**32, "0 to 2**32 - 1")
        _require("lr", self.lr, math.isfinite(self.lr) and self.lr > 0, "positive and finite")
        _require(
            "weight_decay", self.weight_decay, math.isfinite(self.weight_decay) and self.weight_decay >= 0, "at least 0"
        )
        _require("label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "in [0, 1)")
        _require("dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)")
        _require("warmup_epochs", self.warmup_epochs, self.warmup_epochs >= 0, "at least 0")
        policies = get_args(PolicyName)
        _require("policy", self.policy, self.policy in policies, f"one of {', '.join(policies)}")
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:  # AssertionError: a PyTorch built without that device
            reason = str(error).splitlines()[0]
            raise ConfigError(f"device {self.device!r} cannot be used: {reason}") from None


def _require(name: str, value: object, fine: bool, expected: str) -> None:
    if not fine:
        raise ConfigError(f"{name} must be {expected}, got {value}")
