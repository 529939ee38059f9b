"""Losses."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from mulfree.functional._elementwise import div, mul
from mulfree.functional._options import Derivative, is_exact
from mulfree.functional._sums import mean, sum
from mulfree.ops import rows

Reduction = Literal["none", "mean", "sum"]


def _check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.cross_entropy`` with class indices, from ``log_softmax`` (spec 7).

    Args:
        input: ``(classes,)``, ``(rows, classes)`` or ``(rows, classes, *dims)``.
        target: int64 class indices ``()``, ``(rows,)`` or ``(rows, *dims)``.
        ignore_index: rows with this target give +0 and are not counted by the mean.
        label_smoothing: 0 to 1; weight of the uniform distribution in the target.
        derivative: "exact" by default, the paper's choice for the loss (Table 3).

    Raises:
        NotImplementedError: class weights or class probabilities as the target.
        IndexError: a target is no class.

    Deviations: ``size_average`` and ``reduce``, deprecated in torch, must be None.
    """
    if weight is not None:
        raise NotImplementedError("cross_entropy(): class weights ('weight') are not supported")
    if size_average is not None or reduce is not None:
        raise ValueError("cross_entropy(): 'size_average' and 'reduce' are deprecated in torch; use 'reduction'")
    if target.is_floating_point():
        raise NotImplementedError("cross_entropy(): 'target' must hold class indices; probabilities are not supported")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy(): label_smoothing must be between 0 and 1, got {label_smoothing}")
    if not input.dim() >= 1:
        raise RuntimeError("cross_entropy(): 'input' must have at least one dimension")
    _check_reduction(reduction)
    if input.dim() != 2:
        classes_last = input.movedim(0 if input.dim() == 1 else 1, -1)
        if target.shape != classes_last.shape[:-1]:
            raise RuntimeError(
                f"cross_entropy(): 'target' must be {tuple(classes_last.shape[:-1])} for 'input' "
                f"{tuple(input.shape)}, got {tuple(target.shape)}"
            )
        matrix, indices = classes_last.reshape(target.numel(), classes_last.shape[-1]), target.reshape(-1)
    else:
        matrix, indices = input, target
    losses, count, _ = rows.cross_entropy(matrix, indices, ignore_index, label_smoothing, is_exact(derivative))
    if reduction == "none":
        result: Tensor = losses.reshape(target.shape)
        return result
    total = sum(losses)
    return total if reduction == "sum" else div(total, count, derivative=derivative)


def mse_loss(
    input: Tensor, target: Tensor, reduction: Reduction = "mean", *, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.nn.functional.mse_loss``: the mean (or sum, or nothing) of ``mul(d, d)``, d = input - target."""
    _check_reduction(reduction)
    d = input - target
    squares = mul(d, d, derivative=derivative)
    if reduction == "none":
        return squares
    return sum(squares) if reduction == "sum" else mean(squares, derivative=derivative)
