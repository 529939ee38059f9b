"""Convolutions on the native kernels: every kind becomes patches of images, described by three axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from mulfree.backends.native import kernels, threads
from mulfree.backends.phased_convolution import PhasedConvolution
from mulfree.backends.rounding import round_to
from mulfree.numerics.convolution import Axis, Window, sliding

_DIMS = 3
_ABSENT = [0] * (3 + _DIMS)
_SINGLE = [1, 1, 0, 1, 1, 0]
"""An axis of one element, for the dimensions that an image has not got."""


def _images(x: Tensor) -> list[int]:
    """Address and strides of ``(n, channels, *size)``."""
    image, channel, *strides = x.stride()
    return [x.data_ptr(), image, channel, *[0] * (_DIMS - len(strides)), *strides]


def _axes(axes: Sequence[Axis]) -> list[list[int]]:
    found = [[axis.size, axis.positions, axis.start, axis.step, axis.taps, axis.tap_step] for axis in axes]
    return [_SINGLE] * (_DIMS - len(found)) + found


class CPUConvolution(PhasedConvolution):
    """The convolution methods of ``contract.Backend``."""

    @staticmethod
    def _convolve(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        window: Window,
        axes: Sequence[Axis],
        slope: Tensor | None,
        result: Tensor,
        mantissa_bits: int,
        offset: int,
    ) -> None:
        x, groups = x.float(), window.groups
        bias = None if bias is None else bias.float().contiguous()
        slope = None if slope is None else slope.float()
        kernels.convolve(
            _images(x),
            weight.data_ptr(),
            0 if bias is None else bias.data_ptr(),
            _ABSENT if slope is None else _images(slope),
            _images(result),
            _axes(axes),
            [x.shape[0], groups, x.shape[1] // groups, result.shape[1] // groups],
            mantissa_bits,
            offset,
            threads(),
        )

    def convolve_weight(
        self,
        dense: Tensor,
        x: Tensor,
        window: Window,
        kernel: Sequence[int],
        slope: Tensor | None = None,
        dense_is_grad: bool = True,
        mantissa_bits: int = 23,
        offset: int = 0,
    ) -> Tensor:
        dtype, groups = x.dtype, window.groups
        dense, x = dense.float(), x.float()
        sizes = [x.shape[0], groups, x.shape[1] // groups, dense.shape[1] // groups]
        lines = sizes[2] * prod(kernel)
        transposed = slope is not None and not dense_is_grad
        result = torch.empty(groups, *((lines, sizes[3]) if transposed else (sizes[3], lines)), dtype=torch.float32)
        slope = None if slope is None else slope.float().contiguous()
        kernels.convolve_weight(
            _images(dense),
            _images(x),
            0 if slope is None else slope.data_ptr(),
            result.data_ptr(),
            _axes(sliding(window, x.shape[2:], kernel, dense.shape[2:])),
            sizes,
            transposed,
            mantissa_bits,
            offset,
            threads(),
        )
        result = result.mT.contiguous() if transposed else result
        return round_to(result.view(dense.shape[1], sizes[2], *kernel), dtype)
