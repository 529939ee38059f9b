"""The law on convolutions: which entries meet in a product, and in which order (spec 6).

One dimension at a time. Patch j of a dimension holds, for each tap t, the element at ``start + j * step +
t * tap_step``; a tap that falls outside the data is skipped but counted. Everything here is integer arithmetic on
indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd


@dataclass(frozen=True)
class Window:
    """How a kernel slides over its input; one number per spatial dimension, ``padding`` that before the first."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


@dataclass(frozen=True)
class Axis:
    """The patches along one dimension of ``size`` elements."""

    size: int
    positions: int
    start: int
    step: int
    taps: int
    tap_step: int

    def element(self, position: int, tap: int) -> int | None:
        """Where a tap of a patch lies, None outside the data."""
        at = self.start + position * self.step + tap * self.tap_step
        return at if 0 <= at < self.size else None


@dataclass(frozen=True)
class Phase:
    """The positions ``first, first + stride, ...`` of a transposed convolution, which read the same taps
    ``first_tap, first_tap + tap_step, ...``, as patches of its input."""

    axis: Axis
    first: int
    stride: int
    first_tap: int
    tap_step: int

    @property
    def positions(self) -> slice:
        return slice(self.first, None, self.stride)

    @property
    def taps(self) -> slice:
        count: int = self.axis.taps
        return slice(self.first_tap, self.first_tap + count * self.tap_step, self.tap_step)


def sliding(window: Window, size: Sequence[int], kernel: Sequence[int], positions: Sequence[int]) -> tuple[Axis, ...]:
    """The patches that a convolution reads, dimension by dimension."""
    return tuple(
        Axis(size[dim], positions[dim], -window.padding[dim], window.stride[dim], kernel[dim], window.dilation[dim])
        for dim in range(len(kernel))
    )


def phases(
    window: Window, size: Sequence[int], kernel: Sequence[int], positions: Sequence[int]
) -> Iterator[tuple[Phase, ...]]:
    """The patches that a transposed convolution reads: every combination of the phases of its dimensions."""
    return product(*(_phases(window, dim, size[dim], kernel[dim], positions[dim]) for dim in range(len(kernel))))


def _phases(window: Window, dim: int, size: int, taps: int, positions: int) -> list[Phase]:
    """Position i and tap t meet the element e of the input for which ``e * stride - padding + t * dilation = i``.
    Taps for which there is no whole e are not part of the sum.
    """
    stride: int = window.stride[dim]
    padding: int = window.padding[dim]
    dilation: int = window.dilation[dim]
    shared: int = gcd(stride, dilation)
    tap_step = stride // shared
    found = []
    for first in range(min(stride, positions)):
        count = -(-(positions - first) // stride)
        met = [tap for tap in range(taps) if (first + padding - tap * dilation) % stride == 0]
        first_tap = met[0] if met else 0
        start = (first + padding - first_tap * dilation) // stride
        axis = Axis(size, count, start, 1, len(met), -(tap_step * dilation // stride))
        found.append(Phase(axis, first, stride, first_tap, tap_step))
    return found
