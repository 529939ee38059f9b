"""Functions along dimensions: softmax and its logarithm, logsumexp, layer normalization."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mulfree.functional._options import Derivative, is_exact, whole_dim, whole_dims
from mulfree.ops import rows


def softmax(
    input: Tensor, dim: int, dtype: torch.dtype | None = None, *, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.softmax``: ``div(e, sum(e))`` with ``e = exp2(mul(x, log2(e)) - n)``, n whole, near the maximum.

    A row of -inf gives NaN, as in torch. ``dtype`` converts the input first.
    """
    x = input if dtype is None else input.to(dtype)
    result: Tensor = rows.softmax(x, whole_dim(dim, x.dim()), is_exact(derivative))[0]
    return result


def log_softmax(
    input: Tensor, dim: int, dtype: torch.dtype | None = None, *, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.log_softmax``: ``x - logsumexp(x)``. A row of -inf gives NaN. ``dtype`` converts the input first."""
    x = input if dtype is None else input.to(dtype)
    result: Tensor = rows.log_softmax(x, whole_dim(dim, x.dim()), is_exact(derivative))[0]
    return result


def logsumexp(
    input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False, *, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.logsumexp``: ``div(n + log2(sum(e)), log2(e))`` with e and n of ``softmax``. A row of -inf gives -inf."""
    dims = whole_dims(dim, input.dim())
    x, last = input, dims[0] if dims else 0
    if len(dims) > 1:
        x = input.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims))
        last = x.dim() - 1
    result: Tensor = rows.logsumexp(x, last, is_exact(derivative))[0]
    if keepdim:
        for d in dims:
            result = result.unsqueeze(d)
    return result


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.layer_norm``: ``mul(div(c, sqrt(mean(mul(c, c)) + eps)), weight) + bias``, c = x - mean(x).

    Args:
        input: ``(*, *normalized_shape)``.
        weight, bias: of shape ``normalized_shape``, or None.
    """
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"layer_norm(): the last sizes of 'input' must be normalized_shape {shape}, got {tuple(input.shape)}"
        )
    result: Tensor = rows.layer_norm(input, weight, bias, len(shape), eps, is_exact(derivative))[0]
    return result
