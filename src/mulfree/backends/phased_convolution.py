"""Convolutions of kernels that compute patches: a transposed convolution is one convolution for each of its phases."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.numerics.convolution import Axis, Phase, Window, phases, sliding


class PhasedConvolution:
    """``convolve`` and ``convolve_transposed`` of ``contract.Backend``."""

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
        result = torch.empty(x.shape[0], weight.shape[0], *size, dtype=torch.float32, device=x.device)
        axes = sliding(window, x.shape[2:], weight.shape[2:], size)
        matrix = weight.float().contiguous()
        self._convolve(x, matrix, bias, window, axes, slope, result, mantissa_bits, offset)
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
        channels = window.groups * weight.shape[1]
        result = torch.empty(x.shape[0], channels, *size, dtype=torch.float32, device=x.device)
        for met in phases(window, x.shape[2:], weight.shape[2:], size):
            at = (slice(None), slice(None), *(phase.positions for phase in met))
            axes = [phase.axis for phase in met]
            point = None if slope is None else slope[at]
            self._convolve(x, _taps_of(grouped, met), bias, window, axes, point, result[at], mantissa_bits, offset)
        return round_to(result, weight.dtype)

    def _convolve(
        self,
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
        raise NotImplementedError


def _taps_of(weight: Tensor, met: Sequence[Phase]) -> Tensor:
    """The taps of a phase: ``(groups, out, in, *kernel) -> (groups, in, out, *taps)``."""
    part = weight[(slice(None), slice(None), slice(None), *(phase.taps for phase in met))]
    return part.transpose(1, 2).contiguous()
