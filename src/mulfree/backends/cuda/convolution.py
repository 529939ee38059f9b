"""Convolutions on CUDA: every kind is a product of patches of images that are never written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from mulfree.backends.cuda.kernels import Launcher
from mulfree.backends.cuda.plans import Memory, run
from mulfree.backends.cuda.problems import Batch, Problem, Source, Walk
from mulfree.backends.phased_convolution import PhasedConvolution
from mulfree.backends.rounding import round_to
from mulfree.numerics.convolution import Axis, Window, sliding

_DIMS = 3
_SINGLE = Axis(1, 1, 0, 1, 1, 0)
"""An axis of one element, for the dimensions that an image has not got."""

Three = tuple[int, int, int]


def _three(values: Sequence[int], fill: int) -> Three:
    """By dimension, the last one first."""
    last, middle, first = [*reversed(values), *[fill] * (_DIMS - len(values))]
    return last, middle, first


class _Patches:
    """The elements of images by position (n, j0, j1, j2) and tap (c, t0, t1, t2)."""

    def __init__(self, images: Tensor, axes: Sequence[Axis]) -> None:
        image, channel, *spatial = images.stride()
        axes = [*[_SINGLE] * (_DIMS - len(axes)), *axes]
        strides = [*[0] * (_DIMS - len(spatial)), *spatial]
        self.start = sum(axis.start * stride for axis, stride in zip(axes, strides, strict=True))
        self.bounds = _three([axis.size for axis in axes], 1)
        steps, tap_steps = _three([axis.step for axis in axes], 1), _three([axis.tap_step for axis in axes], 0)
        by_dim = _three(strides, 0)
        self.positions = Walk(
            _three([max(axis.positions, 1) for axis in axes], 1),
            (*(step * stride for step, stride in zip(steps, by_dim, strict=True)), image),  # type: ignore[arg-type]
            _three([axis.start for axis in axes], 0),
            steps,
        )
        self.taps = Walk(
            _three([max(axis.taps, 1) for axis in axes], 1),
            (*(step * stride for step, stride in zip(tap_steps, by_dim, strict=True)), channel),  # type: ignore[arg-type]
            (0, 0, 0),
            tap_steps,
        )

    def by_position(self) -> Source:
        """Lines are positions, the depth is taps."""
        return Source(self.positions, self.taps, self.bounds, start=self.start)

    def by_tap(self) -> Source:
        """Lines are taps, the depth is positions."""
        deep = self.positions.strides[0] == 1
        return Source(self.taps, self.positions, self.bounds, start=self.start, deep=deep)


def _pixels(images: Tensor) -> Walk:
    """The positions of ``(n, channels, *size)``."""
    image, _, *spatial = images.stride()
    strides = _three(spatial, 0)
    return Walk(_three([max(size, 1) for size in images.shape[2:]], 1), (*strides, image))


class CUDAConvolution(PhasedConvolution):
    """The convolution methods of ``contract.Backend``."""

    launcher: Launcher

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
        x, groups = x.float(), window.groups
        ins, outs = x.shape[1] // groups, result.shape[1] // groups
        depth = ins * prod(axis.taps for axis in axes)
        problem = Problem(
            left=Source(Walk.line(outs, depth), Walk.line(depth, 1), deep=True),
            right=_Patches(x, axes).by_position(),
            out_rows=Walk.line(outs, result.stride(1)),
            out_columns=_pixels(result),
            rows=outs,
            columns=x.shape[0] * prod(result.shape[2:]),
            depth=depth,
            batch=_groups(groups, outs * depth, ins * x.stride(1), 0, outs * result.stride(1), outs),
            bias_strides=(1, 0),
            mantissa_bits=mantissa_bits,
            offset=offset,
        )
        memory = Memory(weight, x, result, None, None if bias is None else bias.float().contiguous())
        if slope is not None:
            slope = slope.float()
            point = Source(_pixels(slope), Walk.line(outs, slope.stride(1)))
            strides = (ins * x.stride(1), outs * depth, outs * slope.stride(1), outs * result.stride(1), outs)
            problem = _turned(problem, point, _groups(groups, *strides))
            memory = Memory(x, weight, result, slope, memory.bias)
        run(self.launcher, problem, memory)

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
        ins, outs = x.shape[1] // groups, dense.shape[1] // groups
        lines = ins * prod(kernel)
        result = torch.empty(dense.shape[1], ins, *kernel, dtype=torch.float32, device=x.device)
        pixels = _pixels(dense)
        lefts, rights = outs * dense.stride(1), ins * x.stride(1)
        problem = Problem(
            left=Source(Walk.line(outs, dense.stride(1)), pixels, (1, 1, 1), deep=pixels.strides[0] == 1),
            right=_Patches(x, sliding(window, x.shape[2:], kernel, dense.shape[2:])).by_tap(),
            out_rows=Walk.line(outs, lines),
            out_columns=Walk.line(lines, 1),
            rows=outs,
            columns=lines,
            depth=dense.shape[0] * prod(dense.shape[2:]),
            batch=_groups(groups, lefts, rights, outs * lines, outs * lines, 0),
            mantissa_bits=mantissa_bits,
            offset=offset,
        )
        memory = Memory(dense, x, result)
        if slope is not None:
            slope = slope.float().contiguous()
            if dense_is_grad:
                problem = replace(problem, point=Source(problem.out_rows, problem.out_columns))
                memory = Memory(dense, x, result, slope)
            else:
                point = Source(problem.out_columns, problem.out_rows)
                problem = _turned(problem, point, _groups(groups, rights, lefts, outs * lines, outs * lines, 0))
                memory = Memory(x, dense, result, slope)
        run(self.launcher, problem, memory)
        return round_to(result, dtype)


def _groups(groups: int, *strides: int) -> Batch:
    """Strides of left, right, point, result and bias."""
    left, right, point, out, bias = strides
    return Batch((groups,), ((left,), (right,), (point,), (out,), (bias,)))


def _turned(problem: Problem, point: Source, batch: Batch) -> Problem:
    """The transposed problem, with a point: the gradient is the left operand of exact derivatives."""
    return replace(
        problem,
        left=problem.right,
        right=problem.left,
        point=point,
        out_rows=problem.out_columns,
        out_columns=problem.out_rows,
        rows=problem.columns,
        columns=problem.rows,
        bias_strides=(problem.bias_strides[1], problem.bias_strides[0]),
        batch=batch,
    )
