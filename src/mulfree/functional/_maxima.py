"""Pooling by maxima: it only compares and selects, so torch's own serves once the dtype is checked."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mulfree.functional._pooling import AdaptiveSizes, Sizes
from mulfree.ops.checks import check_float


def _max_pool(name: str, input: Tensor, *arguments: Any) -> Any:
    check_float(name, "input", input)
    return getattr(F, name)(input, *arguments)


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """``torch.nn.functional.max_pool1d``, which compares and selects: torch's own."""
    return _max_pool("max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """``torch.nn.functional.max_pool2d``, which compares and selects: torch's own."""
    return _max_pool("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """``torch.nn.functional.max_pool3d``, which compares and selects: torch's own."""
    return _max_pool("max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def adaptive_max_pool1d(input: Tensor, output_size: AdaptiveSizes, return_indices: bool = False) -> Any:
    """``torch.nn.functional.adaptive_max_pool1d``, which compares and selects: torch's own."""
    return _max_pool("adaptive_max_pool1d", input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: AdaptiveSizes, return_indices: bool = False) -> Any:
    """``torch.nn.functional.adaptive_max_pool2d``, which compares and selects: torch's own."""
    return _max_pool("adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: AdaptiveSizes, return_indices: bool = False) -> Any:
    """``torch.nn.functional.adaptive_max_pool3d``, which compares and selects: torch's own."""
    return _max_pool("adaptive_max_pool3d", input, output_size, return_indices)
