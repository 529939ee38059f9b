"""Variances, norms and products along dimensions. Their forms are in spec 7.

Half precision is widened at the start and rounded once, at the end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mulfree.functional._elementwise import div, mul, pow, sqrt
from mulfree.functional._extras import abs, amax, amin
from mulfree.functional._options import Derivative, whole_dim, whole_dims
from mulfree.functional._sums import Dims, mean, sum
from mulfree.functional._widening import rounded, widened
from mulfree.ops.constants import quotient


def nonzero_root(total: Tensor, derivative: Derivative) -> Tensor:
    """The square root, with gradient 0 where it is 0, as torch's norms and deviations have it."""
    zero = total == 0
    return sqrt(total.masked_fill(zero, 1.0), derivative=derivative).masked_fill(zero, 0.0)


def _options(
    dim: Dims | bool, unbiased: bool | None, correction: float | None
) -> tuple[int | tuple[int, ...] | list[int] | None, float]:
    """The dimensions and the correction of the several signatures of torch.var."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError("var(): 'unbiased' and 'correction' exclude each other")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return dim, correction


def _moments(x: Tensor, dim: Dims, correction: float, keepdim: bool, derivative: Derivative) -> tuple[Tensor, Tensor]:
    """Variance and mean of a float32 tensor."""
    middle = mean(x, dim, True, derivative=derivative)
    centred = x - middle
    squares = sum(mul(centred, centred, derivative=derivative), dim, keepdim)
    count = math.prod([x.shape[d] for d in whole_dims(dim, x.dim())]) - correction
    variance = div(squares, max(float(count), 0.0), derivative=derivative)
    return variance, middle if keepdim or not x.dim() else middle.reshape(variance.shape)


def var_mean(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    derivative: Derivative = "approximate",
) -> tuple[Tensor, Tensor]:
    """``torch.var_mean``: the variance ``div(sum(mul(c, c)), n - correction)`` with c = x - mean(x), and the mean.

    ``correction`` is 1 by default; ``unbiased`` stands for 1 or 0.
    """
    dims, correction = _options(dim, unbiased, correction)
    variance, middle = _moments(widened("var_mean", input), dims, correction, keepdim, derivative)
    return rounded(variance, input), rounded(middle, input)


def var(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.var``: the first result of ``var_mean``."""
    dims, correction = _options(dim, unbiased, correction)
    return rounded(_moments(widened("var", input), dims, correction, keepdim, derivative)[0], input)


def std_mean(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    derivative: Derivative = "approximate",
) -> tuple[Tensor, Tensor]:
    """``torch.std_mean``: the square root of the variance of ``var_mean``, with gradient 0 where it is 0; the mean."""
    dims, correction = _options(dim, unbiased, correction)
    variance, middle = _moments(widened("std_mean", input), dims, correction, keepdim, derivative)
    return rounded(nonzero_root(variance, derivative), input), rounded(middle, input)


def std(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.std``: the first result of ``std_mean``."""
    dims, correction = _options(dim, unbiased, correction)
    variance = _moments(widened("std", input), dims, correction, keepdim, derivative)[0]
    return rounded(nonzero_root(variance, derivative), input)


def _power_sum(x: Tensor, p: float, dim: Dims, keepdim: bool, derivative: Derivative) -> Tensor:
    """Sum of |x|**p; zeros add nothing, to the gradient neither."""
    magnitudes = abs(x)
    zero = magnitudes == 0
    powers = pow(magnitudes.masked_fill(zero, 1.0), p, derivative=derivative)
    return sum(powers.masked_fill(zero, 0.0 if p > 0 else math.inf), dim, keepdim)


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.linalg.vector_norm``: order 2 ``sqrt(sum(mul(x, x)))``, 1 ``sum(|x|)``, +-inf the largest or least |x|,
    0 the number of non-zero entries, else ``pow(sum(pow(|x|, p)), div(1, p))``.

    The gradient of a norm that is 0 is 0. ``dtype`` converts the input first.
    """
    operand = x if dtype is None else x.to(dtype)
    return rounded(_norm(widened("vector_norm", operand, "x"), float(ord), dim, keepdim, derivative), operand)


def _norm(x: Tensor, p: float, dim: Dims, keepdim: bool, derivative: Derivative) -> Tensor:
    if p == 2.0:
        return nonzero_root(sum(mul(x, x, derivative=derivative), dim, keepdim), derivative)
    if p == 1.0:
        return sum(abs(x), dim, keepdim)
    if math.isinf(p):
        return (amax if p > 0 else amin)(abs(x), dim, keepdim)
    if p == 0.0:
        return sum((x != 0).float(), dim, keepdim)
    total = _power_sum(x, p, dim, keepdim, derivative)
    zero = total == 0
    root = pow(total.masked_fill(zero, 1.0), quotient(1.0, p), derivative=derivative)
    return root.masked_fill(zero, 0.0)


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    out: None = None,
    dtype: torch.dtype | None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.norm``: ``vector_norm``; "fro" and None are order 2.

    Raises:
        ValueError: ``out`` is given, or ``p`` is "nuc", which has no PA form.
    """
    if out is not None:
        raise ValueError("norm(): 'out' must be None")
    if isinstance(p, str) and p != "fro":
        raise NotImplementedError(f"norm(): 'p' must be a number or 'fro', got {p!r}")
    order = 2.0 if p is None or isinstance(p, str) else p
    return vector_norm(input, order, dim, keepdim, dtype=dtype, derivative=derivative)


def normalize(
    input: Tensor,
    p: float = 2.0,
    dim: Dims = 1,
    eps: float = 1e-12,
    out: None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.normalize``: ``div(x, max(norm(x), eps))``."""
    if out is not None:
        raise ValueError("normalize(): 'out' must be None")
    x = widened("normalize", input)
    length = _norm(x, float(p), dim, True, derivative).clamp_min(eps)
    return rounded(div(x, length, derivative=derivative), input)


def nanmean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nanmean``: ``div(sum, count)`` of the entries that are not NaN. ``dtype`` converts the input first."""
    operand = input if dtype is None else input.to(dtype)
    x = widened("nanmean", operand)
    missing = x.isnan()
    count = sum((~missing).float(), dim, keepdim)
    return rounded(div(sum(x.masked_fill(missing, 0.0), dim, keepdim), count, derivative=derivative), operand)


def prod(
    input: Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.prod`` by repeated ``mul``: entry i meets entry i + m, m half the length rounded up, until one is left.

    All dimensions, in row-major order, without ``dim``. ``dtype`` converts the input first.
    """
    operand = input if dtype is None else input.to(dtype)
    x = widened("prod", operand)
    rows = x.reshape(-1) if dim is None else x.reshape(x.shape or (1,)).movedim(whole_dim(dim, x.dim()), -1)
    if rows.shape[-1] == 0:
        rows = torch.ones((*rows.shape[:-1], 1), dtype=rows.dtype, device=rows.device)
    while (length := rows.shape[-1]) > 1:
        half = (length + 1) >> 1
        paired = mul(rows[..., : length - half], rows[..., half:], derivative=derivative)
        rows = torch.cat([paired, rows[..., length - half : half]], -1)
    result = rows.squeeze(-1)
    if keepdim and x.dim():
        result = result.view([1] * x.dim()) if dim is None else result.unsqueeze(whole_dim(dim, x.dim()))
    elif dim is not None and not x.dim():
        result = result.view(())
    return rounded(result, operand)
