"""What the losses share: the reduction to one number, and the checks of arguments."""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._composing import expanded
from mulfree.functional._elementwise import div, mul
from mulfree.functional._options import Derivative
from mulfree.functional._sums import mean, sum

Reduction = Literal["none", "mean", "sum"]


def check_options(operation: str, reduction: str, size_average: None, reduce: None, *further: str) -> None:
    """Raises ValueError for an unknown reduction, and for torch's deprecated arguments unless they are None."""
    known = ("none", "mean", "sum", *further)
    if reduction not in known:
        raise ValueError(f"{operation}(): reduction must be one of {', '.join(known)}, got {reduction!r}")
    for argument, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None:
            raise ValueError(f"{operation}(): '{argument}' is deprecated and must be None; use 'reduction'")


def reduced(losses: Tensor, reduction: str, derivative: Derivative, dtype: torch.dtype) -> Tensor:
    """``losses`` (float32) as they are, their ``sum`` or their ``mean``, rounded to ``dtype``."""
    if reduction == "sum":
        losses = sum(losses)
    elif reduction == "mean":
        losses = mean(losses, derivative=derivative)
    return round_to(losses, dtype)


def weighted(
    losses: Tensor, weight: Tensor | None, reduction: str, derivative: Derivative, dtype: torch.dtype
) -> Tensor:
    """``reduced`` of the products with ``weight``; their mean is over the sum of the weights, as in torch."""
    if weight is None:
        return reduced(losses, reduction, derivative, dtype)
    products = mul(losses, weight, derivative=derivative)
    if reduction == "mean":
        return round_to(div(sum(products), sum(weight), derivative=derivative), dtype)
    return reduced(products, reduction, derivative, dtype)


def paired(operation: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both broadcast to one shape; a warning where they differ, as in torch.

    Raises:
        RuntimeError: the shapes do not broadcast.
    """
    if input.shape == target.shape:
        return input, target
    shape = torch.broadcast_shapes(input.shape, target.shape)
    warnings.warn(
        f"{operation}(): 'target' has shape {tuple(target.shape)} and 'input' {tuple(input.shape)}; they are "
        "broadcast, which is seldom meant",
        stacklevel=4,
    )
    return expanded(input, shape), expanded(target, shape)
