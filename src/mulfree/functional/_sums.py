"""Sums and means in the law's order (spec 6)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mulfree.functional._elementwise import div
from mulfree.functional._options import Derivative, whole_dims
from mulfree.ops import reductions
from mulfree.ops.checks import check_float

Dims = int | tuple[int, ...] | list[int] | None


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Tensor:
    """``torch.sum`` in the order that every backend follows; all dimensions if ``dim`` is None or empty.

    ``dtype`` converts the input first.
    """
    if dtype is not None:
        input = input.to(dtype)
    dims = whole_dims(dim, input.dim())
    if not dims:  # a tensor without dimensions
        result: Tensor = reductions.sum_dims(input.reshape(1), (0,), False)
    else:
        result = reductions.sum_dims(input, dims, keepdim)
    return result


def mean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.mean``: ``div(sum(x), n)``; all dimensions if ``dim`` is None or empty.

    ``dtype`` converts the input first.
    """
    if dtype is not None:
        input = input.to(dtype)
    check_float("mean", "input", input)
    count = math.prod([input.shape[d] for d in whole_dims(dim, input.dim())])
    return div(sum(input, dim, keepdim), float(count), derivative=derivative)
