"""Convolutions on tensors of words: patches are gathered by index, some images at a time, and meet in the orders of
``reference_dots``. Groups are a dimension of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from mulfree.backends import reference_words as word
from mulfree.backends.reference_dots import accumulate
from mulfree.backends.reference_formats import shorten, widen
from mulfree.backends.reference_words import floats
from mulfree.numerics.convolution import Axis, Phase, Window, phases, sliding


class Patches:
    """The patches of images: which element each tap of each position is."""

    def __init__(self, axes: Sequence[Axis], device: torch.device) -> None:
        self.shape = torch.Size(axis.positions for axis in axes)
        self.taps = prod(axis.taps for axis in axes)
        index = torch.zeros((1, 1), dtype=torch.int64, device=device)
        present = torch.ones((1, 1), dtype=torch.bool, device=device)
        for axis in axes:  # (taps, positions) so far, each in row-major order
            positions = torch.arange(axis.positions, device=device).mul_(axis.step)
            taps = torch.arange(axis.taps, device=device).mul_(axis.tap_step)
            at = positions.add_(axis.start) + taps[:, None]
            inside = (at >= 0) & (at < axis.size)
            at = torch.where(inside, at, 0)
            index = (index[:, None, :, None] * axis.size + at[None, :, None, :]).flatten(2).flatten(0, 1)
            present = (present[:, None, :, None] & inside[None, :, None, :]).flatten(2).flatten(0, 1)
        self.index, self.present = torch.where(present, index, 0), present

    def gather(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(n, groups, channels * taps, positions)``, and which of them exist: ``(channels * taps, positions)``."""
        flat = images.flatten(3)
        if flat.shape[-1] == 0:  # nothing but padding
            flat = flat.new_zeros(*flat.shape[:3], 1)
        found = torch.where(self.present, flat[..., self.index], 0).flatten(2, 3)
        return found, self.present.expand(flat.shape[2], -1, -1).flatten(0, 1)


_AT_ONCE = 1 << 20
"""Sums computed together, which bounds the memory for patches and products."""


def _convolve(x: Tensor, weight: Tensor, axes: Sequence[Axis], offset: int, slope: Tensor | None) -> Tensor:
    """Narrowed words ``(n, groups, in, *size), (groups, out, in * taps) -> (n, groups, out, *positions)``; with a
    ``slope`` of the result's shape the exact derivative by it, where x is the gradient."""
    groups, out = weight.shape[:2]
    patches = Patches(axes, x.device)
    result = x.new_zeros(x.shape[0], groups, out, *patches.shape)
    images = max(1, _AT_ONCE // max(1, result[:1].numel()))
    for first in range(0, len(x), images):
        found, present = patches.gather(x[first : first + images])
        part = result[first : first + images]
        point = None if slope is None else slope[first : first + images].flatten(3)
        terms = _terms(found, present, weight, offset, point)
        shape = torch.Size((len(found), groups, out, prod(patches.shape)))
        part.copy_(accumulate(shape, terms, x.device).view(part.shape))
    return result


def _terms(found: Tensor, present: Tensor, weight: Tensor, offset: int, point: Tensor | None) -> Iterator[Tensor]:
    for k in range(weight.shape[2]):
        left, right = weight[:, :, k, None], found[:, :, None, k, :]
        both = word.mul(left, right, offset) if point is None else word.mul_grad(right, point, left, offset)
        yield floats(torch.where(present[k], both, 0))


def _convolve_weight(
    dense: Tensor, x: Tensor, axes: Sequence[Axis], offset: int, slope: Tensor | None, dense_is_grad: bool
) -> Tensor:
    """Narrowed words ``(n, groups, out, *positions), (n, groups, in, *size) -> (groups, out, in * taps)``: the sum
    over images and positions; with a ``slope`` of the result's shape the exact derivative by it."""
    patches = Patches(axes, x.device)
    groups, out = dense.shape[1:3]
    shape = torch.Size((groups, out, x.shape[2] * patches.taps))

    def terms() -> Iterator[Tensor]:
        for image, other in zip(dense, x, strict=True):
            found, present = patches.gather(other[None])
            found, flat = found[0], image.flatten(2)
            for p in range(flat.shape[-1]):
                left, right = flat[:, :, p, None], found[:, None, :, p]
                if slope is None:
                    both = word.mul(left, right, offset)
                elif dense_is_grad:
                    both = word.mul_grad(left, slope, right, offset)
                else:
                    both = word.mul_grad(right, slope, left, offset)
                yield floats(torch.where(present[:, p], both, 0))

    return accumulate(shape, terms(), x.device)


class ReferenceConvolution:
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
        axes = sliding(window, x.shape[2:], weight.shape[2:], size)
        split = split_groups(window.groups, mantissa_bits)
        matrix = split(weight, 0).flatten(3).flatten(2)
        result = _convolve(split(x, 1), matrix, axes, offset, None if slope is None else split(slope, 1))
        return _finish(result, bias, x.dtype)

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
        split = split_groups(window.groups, mantissa_bits)
        words_of_x, words_of_weight = split(x, 1), split(weight, 0)
        point = None if slope is None else split(slope, 1)
        result = words_of_x.new_zeros(x.shape[0], window.groups, weight.shape[1], *size)
        for met in phases(window, x.shape[2:], weight.shape[2:], size):
            at: tuple[slice, ...] = (slice(None), slice(None), slice(None), *(phase.positions for phase in met))
            result[at] = _convolve(
                words_of_x,
                transposed_weight(words_of_weight, met),
                [phase.axis for phase in met],
                offset,
                None if point is None else point[at],
            )
        return _finish(result, bias, x.dtype)

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
        axes = sliding(window, x.shape[2:], kernel, dense.shape[2:])
        split = split_groups(window.groups, mantissa_bits)
        point = None if slope is None else split(slope, 0).flatten(3).flatten(2)
        result = _convolve_weight(split(dense, 1), split(x, 1), axes, offset, point, dense_is_grad)
        return shorten(result, x.dtype).view(dense.shape[1], x.shape[1] // window.groups, *kernel)


def split_groups(groups: int, mantissa_bits: int) -> Callable[[Tensor, int], Tensor]:
    """Turns a tensor into narrowed words with a dimension split into (groups, the rest)."""
    return lambda x, dim: word.narrow(widen(x), mantissa_bits).unflatten(dim, (groups, x.shape[dim] // groups))


def transposed_weight(weight: Tensor, met: Sequence[Phase]) -> Tensor:
    """The taps of a phase: ``(groups, out, in, *kernel) -> (groups, in, out * taps)``."""
    part = weight[(slice(None), slice(None), slice(None), *(phase.taps for phase in met))]
    return part.transpose(1, 2).flatten(3).flatten(2)


def _finish(result: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """``(n, groups, out, *size)`` words to channels of ``dtype``; the bias is added last."""
    result = result.flatten(1, 2)
    if bias is not None:
        result = word.add(result, widen(bias).view(-1, *(1 for _ in result.shape[2:])))
    return shorten(result, dtype)
