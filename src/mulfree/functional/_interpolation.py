"""Resizing: nearest neighbours read positions, linear forms add one product a dimension, areas are averages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._elementwise import mul
from mulfree.functional._options import Derivative, is_exact
from mulfree.functional._pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from mulfree.functional._widening import all_widened
from mulfree.numerics import ratios, scalar
from mulfree.ops.constants import table
from mulfree.ops.windows import spread

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.interpolate`` for the modes nearest, nearest-exact, linear, bilinear, trilinear, area.

    Positions and weights follow from whole numbers in integer arithmetic (spec 7). Nearest modes read; the linear
    ones take ``a + mul(b - a, w)`` along the last dimension first, w being the weight of b; area is
    ``adaptive_avg_pool``. Gradients of what is read several times are window sums.

    Args:
        input: ``(batch, channels, *sizes)`` with 1 to 3 sizes.
        size, scale_factor: one of the two; a number or one for each size.

    Raises:
        ValueError, NotImplementedError: as torch; also for bicubic, lanczos and ``antialias``.

    Deviations: an infinite neighbour gives NaN in the linear modes.
    """
    exact = is_exact(derivative)
    ndim = input.dim() - 2
    if mode not in ("nearest", "nearest-exact", "area", *_LINEAR):
        raise NotImplementedError(f"interpolate(): mode {mode!r} is not supported")
    if antialias:
        raise NotImplementedError("interpolate(): antialias is not supported")
    if not 1 <= ndim <= 3 or _LINEAR.get(mode, ndim) != ndim:
        raise NotImplementedError(f"interpolate(): mode {mode!r} does not take {input.dim()} dimensions")
    if align_corners is not None and mode not in _LINEAR:
        raise ValueError("interpolate(): align_corners can only be set with the linear modes")
    sizes, factors = _sizes_and_factors(input, size, scale_factor)
    if recompute_scale_factor or mode == "area":
        if recompute_scale_factor and size is not None:
            raise ValueError("interpolate(): recompute_scale_factor goes with scale_factor, not with size")
        factors = [None] * ndim
    along = list(zip(map(int, input.shape[2:]), sizes, factors, strict=True))
    if mode == "area":
        averaged: Any = _AREA[ndim]
        return averaged(input, sizes, derivative=derivative)  # type: ignore[no-any-return]
    if mode in _LINEAR:
        dtype, (x,) = all_widened("interpolate", input=input)
        for dim in reversed(range(ndim)):
            x = _stretched(x, dim + 2, _linear_positions(*along[dim], bool(align_corners)), exact)
        return round_to(x, dtype)
    return spread(input, [_nearest_positions(*one, mode == "nearest-exact") for one in along])


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.upsample``: the same as ``interpolate``."""
    return interpolate(input, size, scale_factor, mode, align_corners, derivative=derivative)


def _sizes_and_factors(
    input: Tensor, size: int | Sequence[int] | None, scale_factor: float | Sequence[float] | None
) -> tuple[list[int], list[float | None]]:
    """Sizes of the result, and the scale factors, None for each where ``size`` was given."""
    ndim = input.dim() - 2
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate(): exactly one of size and scale_factor must be given")
    given: Any = size if scale_factor is None else scale_factor
    numbers = list(given) if isinstance(given, Sequence) else [given] * ndim
    if len(numbers) != ndim:
        name = "size" if scale_factor is None else "scale_factor"
        raise ValueError(f"interpolate(): {name} must be one number or {ndim}, got {given}")
    sizes: list[int] = numbers
    factors: list[float | None] = [None] * ndim
    if scale_factor is not None:
        if not all(number > 0 for number in numbers):
            raise ValueError(f"interpolate(): scale_factor must be positive, got {scale_factor}")
        sizes, factors = [_scaled(n, f) for n, f in zip(input.shape[2:], numbers, strict=True)], numbers
    if min(sizes) < 1 or 0 in input.shape[1:]:
        raise RuntimeError(f"interpolate(): sizes must be positive, got {tuple(input.shape)} to {tuple(sizes)}")
    return sizes, factors


def _scaled(size: int, factor: float) -> int:
    """size * factor as binary64, rounded down."""
    numerator, denominator = float(factor).as_integer_ratio()
    product, power = ratios.rounded(size * numerator, denominator, ratios.DOUBLE)
    return product // power


def _step(size: int, count: int, factor: float | None) -> tuple[int, int]:
    """Distance in the input of neighbouring results: 1 / factor as binary32, else size / count."""
    if factor is None:
        return size, count
    numerator, denominator = float(factor).as_integer_ratio()
    return ratios.rounded(*ratios.rounded(denominator, numerator, ratios.DOUBLE), ratios.SINGLE)


@lru_cache(maxsize=256)
def _nearest_positions(size: int, count: int, factor: float | None, centred: bool) -> tuple[int, ...]:
    """floor(o * step), or floor((o + 1/2) * step), both in binary32 as torch has them."""
    numerator, denominator = ratios.rounded(*_step(size, count, factor), ratios.SINGLE)
    found = []
    for o in range(count):
        twice = 2 * o + 1 if centred else 2 * o
        position, power = ratios.rounded(twice * numerator, 2 * denominator, ratios.SINGLE)
        found.append(min(position // power, size - 1))
    return tuple(found)


Positions = tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]
"""Lower and upper neighbour of each result, and the weight of the upper one."""


@lru_cache(maxsize=256)
def _linear_positions(size: int, count: int, factor: float | None, align_corners: bool) -> Positions:
    """Neighbours of o * (size - 1) / (count - 1), or of (o + 1/2) * step - 1/2, at least 0."""
    lower, weights = [], []
    numerator, denominator = (size - 1, max(1, count - 1)) if align_corners else _step(size, count, factor)
    for o in range(count):
        twice = 2 * o * numerator if align_corners else max(0, (2 * o + 1) * numerator - denominator)
        position = min(twice // (2 * denominator), size - 1)
        rest = twice - 2 * position * denominator if position < size - 1 else 0
        lower.append(position)
        weights.append(scalar.value(ratios.word(rest, 2 * denominator)))
    return tuple(lower), tuple(min(i + 1, size - 1) for i in lower), tuple(weights)


def _stretched(x: Tensor, dim: int, positions: Positions, exact: bool) -> Tensor:
    """Linear interpolation along one dimension of float32 ``x``."""
    lower, upper, weights = positions
    rest = [range(size) for size in x.shape[dim + 1 :]]
    a = spread(x, [lower, *rest])
    if not any(weights):
        return a
    b = spread(x, [upper, *rest])
    w = table(weights, torch.float32, x.device).view(-1, *(1 for _ in rest))
    return a + mul(b - a, w, derivative="exact" if exact else "approximate")
