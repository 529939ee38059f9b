"""Rows of a table by index. Reading them is free and torch's own; norms, averages and weights are PA arithmetic."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._distances import vector_norm
from mulfree.functional._elementwise import div, mul
from mulfree.functional._options import Derivative, is_exact
from mulfree.functional._sums import sum
from mulfree.ops.checks import check_float, check_floats
from mulfree.ops.gradients import divide_gradient

_NORM_EPS = 1e-7
"""Added to the norm of a row that is shortened, as in torch."""


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """``torch.nn.functional.embedding``: rows of ``weight``, read and, in the gradient, added by torch itself.

    Args:
        input: indices, int64 or int32, any shape.
        weight: ``(rows, n)``.
        padding_idx: a row that gets no gradient.
        max_norm: rows that are read and longer are shortened in place first:
            ``mul(row, div(max_norm, norm + 1e-7))``.
        norm_type: p of that norm, in PA arithmetic.
        scale_grad_by_freq: the gradient of a row is divided (PAD, each term of the sum) by how often it is read.
        sparse: the gradient is a sparse tensor.

    Raises:
        AssertionError, IndexError, RuntimeError: as torch.
        TypeError: ``weight`` is not a supported dtype.
    """
    check_float("embedding", "weight", weight)
    if scale_grad_by_freq and sparse:
        raise RuntimeError("embedding(): scale_grad_by_freq does not go with sparse gradients")
    if max_norm is not None:
        _shorten(weight, input, max_norm, norm_type)
    found = F.embedding(input, weight, padding_idx, sparse=sparse)
    return _by_frequency(found, input, input, weight) if scale_grad_by_freq else found


def _shorten(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    with torch.no_grad():
        used = indices.unique()
        rows = weight[used].float()
        norms = vector_norm(rows, norm_type, 1, False, "approximate")
        long = norms > max_norm
        factors = div(max_norm, norms[long] + _NORM_EPS)
        weight[used[long]] = round_to(mul(rows[long], factors.unsqueeze(1)), weight.dtype)


def _by_frequency(found: Tensor, indices: Tensor, counted: Tensor, weight: Tensor) -> Tensor:
    """``found``, with gradients divided by how often each of ``indices`` appears in ``counted``."""
    counts = torch.bincount(counted.reshape(-1), minlength=weight.shape[0])[indices].clamp(min=1)
    divided: Tensor = divide_gradient(found, counts.unsqueeze(-1).to(torch.float32))
    return divided


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: Literal["sum", "mean", "max"] = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.embedding_bag``: sums, means (by ``div``) or maxima of rows of ``weight``.

    Bags of unequal length are laid out as a matrix as wide as the longest. Entries that are ``padding_idx`` do not
    count; an empty bag is zero.

    Args:
        input: indices, ``(bags, k)``, or ``(n,)`` with ``offsets``.
        weight: ``(rows, n)``.
        offsets: ``(bags,)``, where each bag begins; the last one is the end with ``include_last_offset``.
        per_sample_weights: of the shape of ``input``, for "sum": each row by ``mul``.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in ``embedding``.

    Raises:
        ValueError, NotImplementedError: as torch.
    """
    is_exact(derivative)
    dtype = check_floats("embedding_bag", weight=weight, per_sample_weights=per_sample_weights)
    _check_bags(input, weight, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights)
    if max_norm is not None:
        _shorten(weight, input, max_norm, norm_type)
    places, present = _places(input, offsets, include_last_offset)
    if input.numel() == 0:  # bags without entries
        return weight.new_zeros((places.shape[0], weight.shape[1])) + _nothing(weight)
    indices = input.reshape(-1)[places]
    if padding_idx is not None:
        present = present & (indices != (padding_idx + weight.shape[0] if padding_idx < 0 else padding_idx))
    found = F.embedding(indices, weight, padding_idx, sparse=sparse)
    if scale_grad_by_freq:
        found = _by_frequency(found, indices, input, weight)
    rows, missing = found.float(), ~present.unsqueeze(-1)
    if mode == "max":
        largest = rows.masked_fill(missing, float("-inf")).max(1).values
        return round_to(largest.masked_fill(missing.all(1), 0.0), dtype)
    if per_sample_weights is not None:
        factors = per_sample_weights.float().reshape(-1)[places]
        rows = mul(rows, factors.unsqueeze(-1), derivative=derivative)
    total = sum(rows.masked_fill(missing, 0.0), 1)
    if mode == "mean":
        count = present.sum(1, keepdim=True).clamp(min=1).to(torch.float32)
        total = div(total, count, derivative=derivative)
    return round_to(total, dtype)


def _nothing(weight: Tensor) -> Tensor:
    """+0 that depends on ``weight``, so that its gradient exists."""
    return sum(weight[:0])


def _check_bags(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None,
    scale_grad_by_freq: bool,
    mode: str,
    sparse: bool,
    per_sample_weights: Tensor | None,
) -> None:
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag(): mode must be 'sum', 'mean' or 'max', got {mode!r}")
    if weight.dim() != 2:
        raise ValueError(f"embedding_bag(): 'weight' must have two dimensions, got {tuple(weight.shape)}")
    if input.dim() not in (1, 2):
        raise ValueError(f"embedding_bag(): 'input' must have one or two dimensions, got {tuple(input.shape)}")
    if (input.dim() == 1) != (offsets is not None and offsets.dim() == 1):
        raise ValueError("embedding_bag(): 'offsets' must have one dimension with a flat 'input' and be None else")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(f"embedding_bag(): per_sample_weights are for mode 'sum', got {mode!r}")
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"embedding_bag(): 'per_sample_weights' must be {tuple(input.shape)} like 'input', "
                f"got {tuple(per_sample_weights.shape)}"
            )
    if scale_grad_by_freq and (mode == "max" or sparse):
        raise ValueError("embedding_bag(): scale_grad_by_freq goes neither with mode 'max' nor with sparse gradients")
    if sparse and mode == "max":
        raise ValueError("embedding_bag(): mode 'max' does not support sparse gradients")


def _places(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[Tensor, Tensor]:
    """Where the entries of each bag lie in the flat input, ``(bags, longest)``, and which of these exist."""
    if offsets is None:
        places = torch.arange(input.numel(), device=input.device).view(input.shape)
        return places, torch.ones_like(places, dtype=torch.bool)
    starts = offsets.to(torch.int64)
    ends = torch.cat([starts[1:], starts.new_full((1,), input.numel())])
    if include_last_offset:
        starts, ends = starts[:-1], starts[1:]
    if starts.is_meta:  # any width gives the result's shape
        places = starts.unsqueeze(1) + torch.arange(input.numel(), device=input.device)
        return places, torch.ones_like(places, dtype=torch.bool)
    if starts.numel() and (int(starts[0]) != 0 or bool((ends < starts).any()) or int(ends[-1]) > input.numel()):
        raise ValueError(f"embedding_bag(): 'offsets' must ascend from 0 to at most {input.numel()}, got {offsets}")
    longest = int((ends - starts).max()) if starts.numel() else 0
    places = starts.unsqueeze(1) + torch.arange(longest, device=input.device)
    present = places < ends.unsqueeze(1)
    return places.masked_fill(~present, 0), present
