"""The operation ``dropout`` (spec 8).

Half-precision operands are widened exactly, computed as float32 and rounded once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.ops.checks import are_plain, check_float
from mulfree.ops.registry import Operation, define


def _dropout(x: Tensor, seed: Tensor, threshold: int, scale: int) -> Tensor:
    _check(x, seed, threshold, scale)
    backend = for_tensor(x)
    if are_plain(x):
        return backend.dropout(x, seed, threshold, scale)
    return round_to(backend.dropout(x.float(), seed, threshold, scale), x.dtype)


def _check(x: Tensor, seed: Tensor, threshold: int, scale: int) -> None:
    check_float("dropout", "input", x)
    if seed.dtype is not torch.int64 or seed.numel() != 1:
        raise TypeError(f"dropout(): 'seed' must be int64 with one element, got {seed.dtype} {tuple(seed.shape)}")
    if seed.device != x.device:
        raise RuntimeError(f"dropout(): 'seed' must be on {x.device} like 'input', got {seed.device}")
    if not (0 <= threshold < 1 << 32 and 0 <= scale < 1 << 32):
        raise ValueError(f"dropout(): 'threshold' and 'scale' must be words of 32 bits, got {threshold} and {scale}")


def _fake(x: Tensor, seed: Tensor, threshold: int, scale: int) -> Tensor:
    _check(x, seed, threshold, scale)
    return x.new_empty(x.shape)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, seed, ctx.threshold, ctx.scale = inputs
    ctx.save_for_backward(seed)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return dropout(grad, *ctx.saved_tensors, ctx.threshold, ctx.scale), None, None, None


dropout: Operation = define(
    "dropout(Tensor x, Tensor seed, int threshold, int scale) -> Tensor",
    _dropout,
    _fake,
    setup=_setup,
    backward=_backward,
)
"""``mul(x, scale)``, or +0 where the random word that ``seed`` (int64, one element) gives an element is below
``threshold``. The gradient is dropped and scaled alike. ``scale`` is the bits of a number."""
