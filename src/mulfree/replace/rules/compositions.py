"""Functions of torch that have no kernel of their own here: written in plain torch, and run under the mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

DEGREE, ROOT_OF_TWO = 0.017453292519943295, 1.4142135623730951
"""pi / 180 and sqrt(2)."""


def _vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    return torch.mul(x, y).sum(dim)


def _dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(input - other, p)
    return length


def _xlogy(input: Any, other: Any) -> Tensor:
    """Zero where ``input`` is, unless ``other`` is NaN, and there without a gradient by ``other``."""
    input, other = (x if isinstance(x, Tensor) else torch.tensor(float(x)) for x in (input, other))
    empty = (input == 0) & ~other.isnan()
    return torch.where(empty, 0.0, torch.mul(input, torch.log(torch.where(empty, 1.0, other))))


def _xlog1py(input: Any, other: Any) -> Tensor:
    return _xlogy(input, other + 1)


def _logit(input: Tensor, eps: float | None = None) -> Tensor:
    x = input if eps is None else torch.clamp(input, eps, 1 - eps)
    return torch.log(torch.div(x, 1 - x))


def _erfc(input: Tensor) -> Tensor:
    return 1 - torch.erf(input)


def _ndtr(input: Tensor) -> Tensor:
    """(1 + erf(x / sqrt(2))) / 2."""
    return torch.div(1 + torch.erf(torch.div(input, ROOT_OF_TWO)), 2)


def _entr(input: Tensor) -> Tensor:
    inside = torch.where(input < 0, -math.inf, -_xlogy(input, torch.where(input < 0, 1.0, input)))
    return torch.where(input.isnan(), input, inside)


def _deg2rad(input: Tensor) -> Tensor:
    return torch.mul(input, DEGREE)


def _rad2deg(input: Tensor) -> Tensor:
    return torch.div(input, DEGREE)


def _matrix_norm(
    A: Tensor, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The orders that need no singular values: Frobenius, and the largest or smallest sum of a row or column."""
    if ord == "fro":
        length: Tensor = torch.linalg.vector_norm(A, 2, dim, keepdim, dtype=dtype)
        return length
    if ord not in (1, -1, math.inf, -math.inf):
        raise NotImplementedError(f"linalg.matrix_norm(): order {ord!r} has no piecewise affine form")
    rows, columns = (d % A.dim() for d in dim)
    added, chosen = (rows, columns) if ord in (1, -1) else (columns, rows)
    x = A if dtype is None else A.to(dtype)
    sums = x.abs().sum(added, keepdim=True)
    found: Tensor = sums.amax(chosen, keepdim=True) if ord > 0 else sums.amin(chosen, keepdim=True)
    return found if keepdim else found.squeeze((rows, columns))


def _ldexp(input: Tensor, other: Tensor) -> Tensor:
    return torch.mul(input, torch.exp2(other))


def _conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Steps, batch, channels; the weight is (kernel, in, out)."""
    moved = torch.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad)
    return moved.permute(2, 0, 1)


def _trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    size = y.shape[dim]
    pairs = y.narrow(dim, 1, max(size - 1, 0)) + y.narrow(dim, 0, max(size - 1, 0))
    if x is None:
        return torch.div(torch.mul(pairs.sum(dim), dx), 2)
    steps = torch.diff(x, dim=-1 if x.dim() == 1 else dim)
    if x.dim() == 1:
        steps = steps.reshape([-1 if d == dim % y.dim() else 1 for d in range(y.dim())])
    return torch.div(torch.mul(pairs, steps).sum(dim), 2)


COMPOSITIONS: dict[str, Callable[..., Any]] = {
    "conv_tbc": _conv_tbc,
    "deg2rad": _deg2rad,
    "dist": _dist,
    "entr": _entr,
    "erfc": _erfc,
    "ldexp": _ldexp,
    "logit": _logit,
    "matrix_norm": _matrix_norm,
    "ndtr": _ndtr,
    "rad2deg": _rad2deg,
    "trapezoid": _trapezoid,
    "trapz": _trapezoid,
    "vecdot": _vecdot,
    "xlog1py": _xlog1py,
    "xlogy": _xlogy,
}
"""By the plain name of the torch function."""
