"""Panels of a product's operands and the ways of its tiles: what ``csrc/cuda/survey.cu`` and ``csrc/cuda/ways.hpp``
compute, in whole tensors on the processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mulfree.backends.cuda.problems import Batch, Problem, Source, Walk
from mulfree.numerics.formats import DOT_CHUNK, INF, MAGNITUDE, MANTISSA_BITS, MIN, ONE, STEP

WAYS = ("empty", "fast", "clamped", "general")
EMPTY, FAST, CLAMPED, GENERAL = range(len(WAYS))

_NOTHING_LOW, _NOTHING_HIGH = (1 << 31) - 1, -1  # of a panel without numbers
_AT_ONCE = 1 << 21  # words looked at
_TINY_GAP, _HEADROOM, _SUM_FLOOR = 50 * STEP, 9 * STEP, 24 * STEP

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Spans:
    """Least and greatest magnitude of the numbers of each panel and chunk, (batch, panels, chunks), and whether there
    are zeros, and infinities or NaNs."""

    low: Ints
    high: Ints
    zero: Bools
    special: Bools

    @property
    def empty(self) -> Bools:
        """No numbers but zero."""
        return self.low > self.high

    def along(self, axis: int) -> Spans:
        """With an axis more, for the panels of the other operand."""
        low, high = np.expand_dims(self.low, axis), np.expand_dims(self.high, axis)
        return Spans(low, high, np.expand_dims(self.zero, axis), np.expand_dims(self.special, axis))


def _places(walk: Walk, count: int) -> tuple[Tensor, list[Tensor]]:
    """Where the first ``count`` indices lead: elements from the first one, and coordinates."""
    rest, offset, at = torch.arange(count), torch.zeros(count, dtype=torch.int64), []
    for size, stride, start, step in zip(walk.sizes, walk.strides, walk.starts, walk.steps, strict=False):
        digit, rest = rest % size, rest // size
        offset += digit * stride
        at.append(start + digit * step)
    return offset + rest * walk.strides[-1], at


def _batch_starts(batch: Batch, strides: Sequence[int]) -> Tensor:
    rest, start = torch.arange(batch.count), torch.zeros(batch.count, dtype=torch.int64)
    for size, stride in zip(batch.sizes, strides, strict=True):
        start += rest % size * stride
        rest //= size
    return start


def _magnitudes(x: Tensor, drop: int) -> Tensor:
    """Words without sign as kernels load them: denormals are zero, mantissas rounded half-even."""
    size = x.view(torch.int32) & MAGNITUDE
    size = torch.where(size < MIN, 0, size)
    if drop == 0:
        return size
    odd = (size >> drop) & 1
    rounded = (size + ((1 << (drop - 1)) - 1) + odd) >> drop << drop
    return torch.where(size < INF, rounded, size)


def _blocks(batch: int, lines: int, depth: int, height: int) -> Iterator[tuple[slice, slice]]:
    """Batches and lines, whole panels, that are looked at together."""
    panels = max(1, _AT_ONCE // (depth * height))
    together = panels * height
    batches = max(1, _AT_ONCE // (depth * min(together, lines)))
    for first in range(0, batch, batches):
        for line in range(0, lines, together):
            yield slice(first, min(first + batches, batch)), slice(line, min(line + together, lines))


def survey(source: Source, data: Tensor, starts: Tensor, lines: int, depth: int, height: int, drop: int) -> Spans:
    """The spans of panels of ``height`` lines; ``starts``: elements from the first of ``data`` to those of a batch."""
    flat = torch.as_strided(data, (data.untyped_storage().nbytes() // data.itemsize - data.storage_offset(),), (1,))
    flat = flat.float()
    (by_line, at_line), (by_depth, at_depth) = _places(source.lines, lines), _places(source.depth, depth)
    panels, chunks = -(-lines // height), max(-(-depth // DOT_CHUNK), 1)
    found = torch.empty(4, len(starts), panels, chunks, dtype=torch.int64)
    found[0], found[1], found[2:] = _NOTHING_LOW, _NOTHING_HIGH, 0
    for batch, line in _blocks(len(starts), lines, max(depth, 1), height) if depth else ():
        offsets = by_line[line, None] + by_depth + source.start
        places = starts[batch, None, None] + offsets
        if source.bounds is None:
            size = _magnitudes(flat[places], drop)
        else:
            inside = torch.ones(offsets.shape, dtype=torch.bool)
            for a, b, bound in zip(at_line, at_depth, source.bounds, strict=True):
                at = a[line, None] + b
                inside &= (at >= 0) & (at < bound)
            size = torch.where(inside, _magnitudes(flat[torch.where(inside, places, 0)], drop), 0)
        first = line.start // height
        for place, of_panel in enumerate(_spans_of(size, height)):
            found[place, batch, first : first + of_panel.shape[1]] = of_panel
    low, high, zero, special = found.numpy()
    return Spans(low, high, zero != 0, special != 0)


def _spans_of(size: Tensor, height: int) -> tuple[Tensor, ...]:
    """Of magnitudes (batch, lines, depth): low, high, zero, special by panel and chunk."""
    batch, lines, depth = size.shape
    padded = torch.nn.functional.pad(size, (0, -depth % DOT_CHUNK, 0, -lines % height), value=-1)
    tiles = padded.view(batch, -1, height, padded.shape[-1] // DOT_CHUNK, DOT_CHUNK)
    low = torch.where((tiles > 0) & (tiles < INF), tiles, _NOTHING_LOW).amin((2, 4))
    high = torch.where((tiles > 0) & (tiles < INF), tiles, _NOTHING_HIGH).amax((2, 4))
    return low, high, (tiles == 0).any(4).any(2), (tiles >= INF).any(4).any(2)


def survey_problem(problem: Problem, left: Tensor, right: Tensor, height: int, width: int) -> tuple[Spans, Spans]:
    """The spans of the panels of both operands."""
    drop, batch = MANTISSA_BITS - problem.mantissa_bits, problem.batch
    strides = [x or (0,) * len(batch.sizes) for x in batch.strides[:2]]
    by_left, by_right = (_batch_starts(batch, x) for x in strides)
    return (
        survey(problem.left, left, by_left, problem.rows, problem.depth, height, drop),
        survey(problem.right, right, by_right, problem.columns, problem.depth, width, drop),
    )


def _floor_step(x: Ints) -> Ints:
    return x & -STEP


def choose_ways(left: Spans, right: Spans, offset: int = 0, slopes: bool = False, numbers: bool = True) -> Ints:
    """The numbers in ``WAYS`` of all chunks of all tiles, (batch, panels of left, panels of right, chunks).

    ``numbers``: the points of slopes are no NaNs.
    """
    a, b = left.along(2), right.along(1)
    empty = a.empty | b.empty
    special = a.special | b.special | (not numbers)
    bias, slack = (-ONE, abs(offset) + 2 * STEP) if slopes else (offset - ONE, 0)
    a_low, a_high, b_low, b_high = a.low + bias, a.high + bias, b.low, b.high
    if slopes:
        b_low, b_high = _floor_step(b_low + offset), _floor_step(b_high + offset) + STEP
    low, high = a_low + b_low, a_high + b_high
    a_width, b_width = a_high - a_low, b_high - b_low
    plain = ~(a.zero | b.zero)
    plainly = plain & (low >= MIN) & (high + slack < INF)
    # What encode_spans finds.
    lowest = np.full(low.shape, _SUM_FLOOR)
    lowest = np.where(a.zero, np.maximum(lowest, b_width + slack + _TINY_GAP + STEP), lowest)
    lowest = np.where(b.zero, np.maximum(lowest, a_width + slack + _TINY_GAP + STEP), lowest)
    both_zero = (1 << 30) + (_TINY_GAP + slack) // 2 + STEP
    lowest = np.where(a.zero & b.zero, np.maximum(lowest, both_zero), lowest)
    spare = np.maximum(INF - _HEADROOM - slack - (lowest + a_width + b_width), 0)
    scale, lift = _floor_step(lowest + spare // 2 - low), spare // 4
    a_code = _floor_step(lift - b_low) + STEP
    b_code = _floor_step(lift - a_low - scale) + STEP
    # What choose_loop asks of it.
    scaled, tiny = low + scale, low + scale - _TINY_GAP
    fits = ~plain & (low >= _SUM_FLOOR) & (scaled >= _SUM_FLOOR)
    fits &= (high + slack + _HEADROOM <= INF) & (high + slack + scale + _HEADROOM <= INF)
    fits &= ~a.zero | ((a_code + b_low >= 0) & (a_code + b_high + slack <= tiny))
    b_least, b_most = a_low + scale + b_code, a_high + scale + b_code
    fits &= ~b.zero | ((b_least >= slack) & (b_most + slack <= tiny))
    less, more = a_code + b_code - slack, a_code + b_code + slack
    apart = ((less & MAGNITUDE) <= tiny) & ((more & MAGNITUDE) <= tiny) & ((less ^ more) >> 31 == 0)
    fits &= ~(a.zero & b.zero) | apart
    slow = np.full(low.shape, GENERAL) if slopes else np.where(high >= INF, GENERAL, CLAMPED)
    return np.where(special, GENERAL, np.where(empty, EMPTY, np.where(plainly | fits, FAST, slow)))
