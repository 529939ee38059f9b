"""Convolutions on the native kernels: every kind becomes patches of images, described by three axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from mulfree.backends.native import kernels, threads
from mulfree.backends.rounding import round_to
from mulfree.numerics.convolution import Axis, Phase, Window, phases, sliding

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


class CPUConvolution:
    """The convolution methods of ``contract.Backend``."""

    def convolve(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        window: Window,
        size: Sequence[int],
        slope: Tensor | None = None,
        mantissa_bits: int = 23,
        offset: int = 0,
    ) -> Tensor:
        result = torch.empty(x.shape[0], weight.shape[0], *size, dtype=torch.float32)
        axes = sliding(window, x.shape[2:], weight.shape[2:], size)
        matrix = weight.float().contiguous()
        _convolve(x, matrix, bias, window, axes, slope, result, mantissa_bits, offset)
        return round_to(result, x.dtype)

    def convolve_transposed(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        window: Window,
        size: Sequence[int],
        slope: Tensor | None = None,
        mantissa_bits: int = 23,
        offset: int = 0,
    ) -> Tensor:
        x, grouped = x.float(), weight.float()
        grouped = grouped.unflatten(0, (window.groups, weight.shape[0] // window.groups))
        result = torch.empty(x.shape[0], window.groups * weight.shape[1], *size, dtype=torch.float32)
        for met in phases(window, x.shape[2:], weight.shape[2:], size):
            at = (slice(None), slice(None), *(phase.positions for phase in met))
            axes = [phase.axis for phase in met]
            point = None if slope is None else slope[at]
            _convolve(x, _taps_of(grouped, met), bias, window, axes, point, result[at], mantissa_bits, offset)
        return round_to(result, weight.dtype)

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


def _taps_of(weight: Tensor, met: Sequence[Phase]) -> Tensor:
    """The taps of a phase: ``(groups, out, in, *kernel) -> (groups, in, out, *taps)``."""
    part = weight[(slice(None), slice(None), slice(None), *(phase.taps for phase in met))]
    return part.transpose(1, 2).contiguous()


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
    """Fills ``result``; ``weight`` is contiguous: groups, output channels of a group, taps of all its channels."""
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
