"""Class indices as targets: their checks, and the operation that reads one entry of each row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mulfree.backends.select import for_tensor
from mulfree.ops.checks import check_float
from mulfree.ops.constants import capturing
from mulfree.ops.registry import define


def check_targets(operation: str, x: Tensor, target: Tensor) -> torch.dtype:
    """The dtype of ``x`` ``(rows, classes)``, if ``target`` ``(rows,)`` holds class indices for it.

    Raises:
        TypeError: ``x`` is not a float tensor or ``target`` not int64.
        RuntimeError: shapes or devices do not fit.
    """
    dtype = check_float(operation, "input", x)
    if target.dtype is not torch.int64:
        raise TypeError(f"{operation}(): argument 'target' must hold class indices (int64), got {target.dtype}")
    if x.dim() != 2 or target.shape != x.shape[:1]:
        raise RuntimeError(
            f"{operation}(): rows of 'input' and entries of 'target' must agree, "
            f"got {tuple(x.shape)} and {tuple(target.shape)}"
        )
    if target.device != x.device:
        raise RuntimeError(f"{operation}(): 'target' must be on {x.device} like 'input', got {target.device}")
    return dtype


def count_targets(operation: str, target: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Number of targets that are not ``ignore_index``, a float32 tensor without dimensions on their device.

    While a CUDA graph is captured nothing can be read from the device: targets then are not checked, and the loss of
    one that is no class is NaN.

    Raises:
        IndexError: one of them is no class.
    """
    if capturing(target.device):
        return (target != ignore_index).sum().to(torch.float32)
    count = for_tensor(target).count_targets(target, classes, ignore_index)
    if count < 0:
        wrong = target[(target != ignore_index) & ((target < 0) | (target >= classes))][0]
        raise IndexError(
            f"{operation}(): 'target' must hold classes 0 to {classes - 1} or ignore_index {ignore_index}, "
            f"got {int(wrong)}"
        )
    return torch.scalar_tensor(float(count), dtype=torch.float32, device=target.device)


def _entries(x: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    check_targets("nll_loss", x, target)
    counted = count_targets("nll_loss", target, x.shape[1], ignore_index)
    return _picked(x, target, ignore_index), counted


def _picked(x: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    ignored = target == ignore_index
    if x.shape[1] == 0:  # no class at all: every target is ignored
        return x.new_zeros(x.shape[0])
    wrong = (target < 0) | (target >= x.shape[1])
    picked = x.gather(1, target.masked_fill(wrong, 0).unsqueeze(1)).squeeze(1)
    return picked.masked_fill(wrong, float("nan")).masked_fill(ignored, 0.0)


def _entries_fake(x: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    check_targets("nll_loss", x, target)
    return x.new_empty(x.shape[0]), x.new_empty((), dtype=torch.float32)


def _entries_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, target, ctx.ignore_index = inputs
    ctx.classes = x.shape[1]
    ctx.save_for_backward(target)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _entries_backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return None, None, None
    (target,) = ctx.saved_tensors
    chosen = torch.arange(ctx.classes, device=target.device) == target.unsqueeze(1)
    kept = chosen & (target != ctx.ignore_index).unsqueeze(1)
    return torch.where(kept, grad.unsqueeze(1), torch.zeros((), dtype=grad.dtype, device=grad.device)), None, None


class_entries = define(
    "class_entries(Tensor x, Tensor target, int ignore_index) -> (Tensor, Tensor)",
    _entries,
    _entries_fake,
    setup=_entries_setup,
    backward=_entries_backward,
)
"""The entry of each row of ``x`` ``(rows, classes)`` at its target, +0 where that is ignored; how many are not."""
