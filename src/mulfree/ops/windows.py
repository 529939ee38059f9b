"""Sums over windows of the last dimensions, and reading them at ascending positions: each the other's derivative.

A *range* list gives, along one dimension, the positions ``starts[o] <= i < stops[o]`` of window o; both lists ascend
(not strictly). Windows of several dimensions are products of ranges. Pooling sums over ranges; its gradient sums, for
each position, over the windows that contain it, which are a range again (spec 7).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.ops.checks import check_float
from mulfree.ops.constants import table
from mulfree.ops.registry import define

_FEW = 32
"""Windows of so many terms are summed slice by slice, larger ones as rows: which is quicker, not what comes out."""


@dataclass(frozen=True)
class Ranges:
    """The windows along one dimension."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]

    @property
    def width(self) -> int:
        """Length of the longest window: the terms that every window has, missing ones +0."""
        return max((stop - start for start, stop in zip(self.starts, self.stops, strict=True)), default=0)

    def step(self) -> int | None:
        """The distance of neighbouring windows if all are alike, else None."""
        steps = {b - a for a, b in pairwise(self.starts)} or {1}
        alike = all(stop - start == self.width for start, stop in zip(self.starts, self.stops, strict=True))
        return steps.pop() if alike and len(steps) == 1 and min(steps) > 0 else None

    def holding(self, size: int) -> Ranges:
        """For each of ``size`` positions the range of the windows that contain it."""
        starts = [bisect_right(self.stops, i) for i in range(size)]
        stops = [bisect_right(self.starts, i) for i in range(size)]
        return Ranges(tuple(starts), tuple(map(max, starts, stops)))


@lru_cache(maxsize=256)
def _holding(ranges: Ranges, size: int) -> Ranges:
    return ranges.holding(size)


def _split(starts: Sequence[int], stops: Sequence[int], sizes: Sequence[int]) -> list[Ranges]:
    found, at = [], 0
    for size in sizes:
        found.append(Ranges(tuple(starts[at : at + size]), tuple(stops[at : at + size])))
        at += size
    return found


def _extent(x: Tensor, sizes: Sequence[int]) -> list[int]:
    """Sizes of the windowed dimensions, as plain numbers: a compiler specializes on them."""
    return [int(size) for size in x.shape[x.dim() - len(sizes) :]]


def _joined(ranges: Sequence[Ranges]) -> tuple[list[int], list[int], list[int]]:
    starts = [start for r in ranges for start in r.starts]
    stops = [stop for r in ranges for stop in r.stops]
    return starts, stops, [len(r.starts) for r in ranges]


def _select(x: Tensor, dim: int, positions: Sequence[int]) -> Tensor:
    """``x`` at ``positions`` of ``dim``; along the last one ``gather`` is much quicker than ``index_select``."""
    index = table(positions, torch.int64, x.device)
    if dim < x.dim() - 1:
        return x.index_select(dim, index)
    return x.gather(dim, index.expand(*x.shape[:-1], -1))


def _read(x: Tensor, dim: int, positions: list[int], present: list[bool]) -> Tensor:
    """``x`` at ``positions`` of ``dim``, +0 where one is not ``present``."""
    kept = [p if there else 0 for p, there in zip(positions, present, strict=True)]
    result = _select(x, dim, kept)
    if all(present):
        return result
    missing = table([not there for there in present], torch.bool, x.device)
    return result.masked_fill_(missing.view(-1, *(1 for _ in x.shape[dim + 1 :])), 0.0)


def _terms(x: Tensor, dim: int, ranges: Sequence[Ranges]) -> Iterator[Tensor]:
    """The windows' terms in ascending order, each of the result's shape."""
    if not ranges:
        yield x
        return
    first, rest = ranges[0], ranges[1:]
    step, count = first.step(), len(first.starts)
    for j in range(first.width):
        if step is None:
            pairs = zip(first.starts, first.stops, strict=True)
            term = _read(x, dim, [s + j for s in first.starts], [s + j < stop for s, stop in pairs])
        else:
            end = first.starts[-1] + j + 1
            term = x[(slice(None),) * dim + (slice(first.starts[0] + j, end, step if count > 1 else 1),)]
        yield from _terms(term, dim + 1, rest)


def _rows(x: Tensor, dim: int, ranges: Sequence[Ranges]) -> Tensor:
    """``x`` with the terms of its windows in new dimensions at the end."""
    for d, r in enumerate(ranges, dim):
        step, width = r.step(), r.width
        if step is not None:
            x = x.narrow(d, r.starts[0], r.stops[-1] - r.starts[0]).unfold(d, width, step)
            continue
        pairs = [(s + j, s + j < stop) for s, stop in zip(r.starts, r.stops, strict=True) for j in range(width)]
        positions, present = zip(*pairs, strict=True)
        x = _read(x, d, list(positions), list(present)).unflatten(d, (-1, width)).movedim(d + 1, -1)
    return x


def _window_sum(x: Tensor, starts: Sequence[int], stops: Sequence[int], sizes: Sequence[int]) -> Tensor:
    dtype = check_float("window_sum", "input", x)
    backend, ranges, dim = for_tensor(x), _split(starts, stops, sizes), x.dim() - len(sizes)
    x = x.float()
    widths: list[int] = [r.width for r in ranges]
    terms = math.prod(widths)
    if x.numel() == 0 or terms == 0 or 0 in sizes:
        return torch.zeros((*x.shape[:dim], *sizes), dtype=dtype, device=x.device)
    if all(r == Ranges((0,), (size,)) for r, size in zip(ranges, x.shape[dim:], strict=True)):
        result = backend.sum(x, tuple(range(dim, x.dim())), True)
    elif terms <= _FEW:
        result = backend.sum(torch.stack(list(_terms(x, dim, ranges))), (0,))
    else:
        rows = _rows(x, dim, ranges)
        result = backend.sum(rows, tuple(range(x.dim(), rows.dim())))
    return round_to(result, dtype)


def _window_sum_fake(x: Tensor, starts: Sequence[int], stops: Sequence[int], sizes: Sequence[int]) -> Tensor:
    dtype = check_float("window_sum", "input", x)
    return x.new_empty((*x.shape[: x.dim() - len(sizes)], *sizes), dtype=dtype)


def _window_sum_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.ranges = inputs
    ctx.extent = _extent(x, ctx.ranges[2])


def _window_sum_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    ranges = [_holding(r, size) for r, size in zip(_split(*ctx.ranges), ctx.extent, strict=True)]
    return _sum_over(grad, ranges), None, None, None


_registered_sum = define(
    "window_sum(Tensor x, int[] starts, int[] stops, int[] sizes) -> Tensor",
    _window_sum,
    _window_sum_fake,
    setup=_window_sum_setup,
    backward=_window_sum_backward,
)


def _sum_over(x: Tensor, ranges: Sequence[Ranges]) -> Tensor:
    result: Tensor = _registered_sum(x, *map(tuple, _joined(ranges)))
    return result


def window_sum(x: Tensor, ranges: Sequence[Ranges]) -> Tensor:
    """Sums over the windows of the last ``len(ranges)`` dimensions, in the order of *Sums*; missing terms are +0."""
    return _sum_over(x, ranges)


def _spread(x: Tensor, index: Sequence[int], sizes: Sequence[int]) -> Tensor:
    check_float("spread", "input", x)
    given, dim, at = x, x.dim() - len(sizes), 0
    for d, size in enumerate(sizes, dim):
        positions = index[at : at + size]
        if list(positions) != list(range(x.shape[d])):
            x = _select(x, d, positions)
        at += size
    return x.clone() if x is given else x


def _spread_fake(x: Tensor, index: Sequence[int], sizes: Sequence[int]) -> Tensor:
    check_float("spread", "input", x)
    return x.new_empty((*x.shape[: x.dim() - len(sizes)], *sizes))


def _spread_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, ctx.index, ctx.sizes = inputs
    ctx.extent = _extent(x, ctx.sizes)


def _spread_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    reads = _split(ctx.index, [i + 1 for i in ctx.index], ctx.sizes)
    ranges = [_holding(r, size) for r, size in zip(reads, ctx.extent, strict=True)]
    return _sum_over(grad, ranges), None, None


_registered_spread = define(
    "spread(Tensor x, int[] index, int[] sizes) -> Tensor",
    _spread,
    _spread_fake,
    setup=_spread_setup,
    backward=_spread_backward,
)


def spread(x: Tensor, index: Sequence[Sequence[int]]) -> Tensor:
    """``x`` read at positions, ascending along each of the last ``len(index)`` dimensions; the bits unchanged."""
    flat = tuple(i for along in index for i in along)
    result: Tensor = _registered_spread(x, flat, tuple(len(along) for along in index))
    return result
