"""Pooling by averages and norms: sums in the law's order and one PAD."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._composing import root_or_zero
from mulfree.functional._elementwise import div, mul, pow
from mulfree.functional._options import Derivative
from mulfree.ops.constants import table
from mulfree.ops.windows import Ranges, window_sum

Sizes = int | Sequence[int]


def _sizes(operation: str, argument: str, value: Sizes, ndim: int) -> tuple[int, ...]:
    """One number for each dimension."""
    found = (value,) if isinstance(value, int) else tuple(value)
    found = found if len(found) == ndim else found[:1] * ndim if len(found) == 1 else ()
    if not found:
        raise RuntimeError(f"{operation}(): '{argument}' must be an int or {ndim} ints, got {value}")
    return found


def _check_shape(operation: str, input: Tensor, ndim: int) -> tuple[int, ...]:
    """The pooled sizes of ``input``, which is ``(channels, *sizes)`` or ``(batch, channels, *sizes)``."""
    if input.dim() not in (ndim + 1, ndim + 2):
        raise RuntimeError(
            f"{operation}(): 'input' must have {ndim + 1} or {ndim + 2} dimensions, got {tuple(input.shape)}"
        )
    return tuple(int(size) for size in input.shape[-ndim:])


@lru_cache(maxsize=256)
def _windows(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> tuple[Ranges, tuple[int, ...]]:
    """Windows cut to the input, and their lengths cut to the padded input."""
    count = (size + 2 * padding - kernel + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    first = [o * stride - padding for o in range(count)]
    last = [min(start + kernel, size + padding) for start in first]
    ranges = Ranges(tuple(min(max(start, 0), size) for start in first), tuple(min(stop, size) for stop in last))
    return ranges, tuple(stop - start for start, stop in zip(first, last, strict=True))


@lru_cache(maxsize=256)
def _adaptive_windows(size: int, count: int) -> Ranges:
    return Ranges(
        tuple(o * size // count for o in range(count)), tuple(-(-(o + 1) * size // count) for o in range(count))
    )


def _lengths(ranges: Ranges) -> tuple[int, ...]:
    return tuple(stop - start for start, stop in zip(ranges.starts, ranges.stops, strict=True))


def _averaged(
    input: Tensor, ranges: Sequence[Ranges], lengths: Sequence[tuple[int, ...]], derivative: Derivative
) -> Tensor:
    """Window sums over the windows' numbers of terms, which are the products of ``lengths``."""
    sums = window_sum(input, ranges)
    if all(len(set(along)) == 1 for along in lengths):
        return div(sums, float(prod(along[0] for along in lengths)), derivative=derivative)
    counts = torch.ones((), dtype=torch.int64, device=input.device)
    for along in lengths:
        counts = counts.unsqueeze(-1) * table(along, torch.int64, input.device)
    return div(sums, counts.to(input.dtype), derivative=derivative)


def _avg_pool(
    ndim: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    derivative: Derivative,
) -> Tensor:
    operation = f"avg_pool{ndim}d"
    extent = _check_shape(operation, input, ndim)
    windows = _checked_windows(operation, extent, kernel_size, stride, padding, ceil_mode)
    ranges = [along[0] for along in windows]
    if divisor_override is not None:
        if divisor_override == 0:
            raise RuntimeError(f"{operation}(): divisor_override must not be zero")
        return div(window_sum(input, ranges), float(divisor_override), derivative=derivative)
    lengths = [along[1] for along in windows] if count_include_pad else [_lengths(r) for r in ranges]
    return _averaged(input, ranges, lengths, derivative)


def _checked_windows(
    operation: str,
    extent: Sequence[int],
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
) -> list[tuple[Ranges, tuple[int, ...]]]:
    ndim = len(extent)
    kernel = _sizes(operation, "kernel_size", kernel_size, ndim)
    unset = stride is None or (not isinstance(stride, int) and len(stride) == 0)
    steps = kernel if unset else _sizes(operation, "stride", stride or 0, ndim)
    pad = _sizes(operation, "padding", padding, ndim)
    if min(kernel) < 1 or min(steps) < 1:
        raise RuntimeError(f"{operation}(): kernel_size and stride must be positive, got {kernel} and {steps}")
    if any(not 0 <= 2 * p <= k for p, k in zip(pad, kernel, strict=True)):
        raise RuntimeError(f"{operation}(): padding must be 0 to half of kernel_size {kernel}, got {pad}")
    windows = [_windows(*along, ceil_mode) for along in zip(extent, kernel, steps, pad, strict=True)]
    if any(not ranges.starts for ranges, _ in windows):
        raise RuntimeError(f"{operation}(): kernel_size {kernel} is larger than the padded input {tuple(extent)}")
    return windows


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.avg_pool1d``: ``div(window sum, number of terms)``; see ``avg_pool2d``."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, derivative)


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.avg_pool2d``: ``div(window sum, number of terms)``, sums in the order of spec 6.

    Args:
        input: ``(channels, height, width)`` or with a batch dimension in front.
        kernel_size, stride, padding: an int or one for each pooled dimension; ``stride`` None is ``kernel_size``.
        ceil_mode: windows may begin within the input and reach over its end.
        count_include_pad: padding counts as terms.
        divisor_override: divides the sums in place of the number of terms.

    Raises:
        RuntimeError: wrong number of dimensions, padding above half the window, or a window above the input.
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, derivative)


def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.avg_pool3d``: ``div(window sum, number of terms)``; see ``avg_pool2d``."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, derivative)


AdaptiveSizes = int | Sequence[int | None] | None


def _adaptive_avg_pool(ndim: int, input: Tensor, output_size: AdaptiveSizes, derivative: Derivative) -> Tensor:
    operation = f"adaptive_avg_pool{ndim}d"
    extent = _check_shape(operation, input, ndim)
    given = [output_size] * ndim if output_size is None or isinstance(output_size, int) else list(output_size)
    if len(given) != ndim:
        raise RuntimeError(f"{operation}(): 'output_size' must be an int or {ndim} entries, got {output_size}")
    sizes = [size if wanted is None else wanted for size, wanted in zip(extent, given, strict=True)]
    if min(sizes) < 0:
        raise RuntimeError(f"{operation}(): 'output_size' must not be negative, got {output_size}")
    if 0 in extent:
        raise RuntimeError(f"{operation}(): pooled dimensions of 'input' must not be empty, got {tuple(input.shape)}")
    ranges = [_adaptive_windows(size, count) for size, count in zip(extent, sizes, strict=True)]
    return _averaged(input, ranges, [_lengths(r) for r in ranges], derivative)


def adaptive_avg_pool1d(input: Tensor, output_size: AdaptiveSizes, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.adaptive_avg_pool1d``; see ``adaptive_avg_pool2d``."""
    return _adaptive_avg_pool(1, input, output_size, derivative)


def adaptive_avg_pool2d(input: Tensor, output_size: AdaptiveSizes, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.adaptive_avg_pool2d``: window o covers ``floor(o I / O)`` to ``ceil((o + 1) I / O)``.

    ``div(window sum, number of terms)``; for one output the same as ``mean``. An entry of ``output_size`` that is
    None keeps that dimension.
    """
    return _adaptive_avg_pool(2, input, output_size, derivative)


def adaptive_avg_pool3d(input: Tensor, output_size: AdaptiveSizes, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.adaptive_avg_pool3d``; see ``adaptive_avg_pool2d``."""
    return _adaptive_avg_pool(3, input, output_size, derivative)


def _lp_pool(
    ndim: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None,
    ceil_mode: bool,
    derivative: Derivative,
) -> Tensor:
    operation = f"lp_pool{ndim}d"
    extent = _check_shape(operation, input, ndim)
    if not norm_type > 0:
        raise ValueError(f"{operation}(): norm_type must be positive, got {norm_type}")
    windows = _checked_windows(operation, extent, kernel_size, stride, 0, ceil_mode)
    ranges = [along[0] for along in windows]
    dtype = input.dtype
    powers = pow(input.float(), norm_type, derivative=derivative)
    if ceil_mode:
        kernel = float(prod(_sizes(operation, "kernel_size", kernel_size, ndim)))
        averages = _averaged(powers, ranges, [along[1] for along in windows], derivative)
        sums = mul(averages, kernel, derivative=derivative)
    else:
        sums = window_sum(powers, ranges)
    return round_to(root_or_zero(sums, norm_type, derivative), dtype)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.lp_pool1d``; see ``lp_pool2d``."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode, derivative)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.lp_pool2d``: ``pow(window sum of pow(x, p), 1 / p)``, PA powers throughout.

    With ``ceil_mode`` the sum is ``mul(average, window size)``, as in torch. The gradient of a zero sum is zero.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode, derivative)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.lp_pool3d``; see ``lp_pool2d``."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode, derivative)
