"""The description of a product that ``csrc/cuda/problem.hpp`` reads: where entries lie, without the memory itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch

from mulfree.backends.cuda.kernels import divider
from mulfree.numerics.formats import MANTISSA_BITS

_AXES = 3
FORMATS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}


@dataclass(frozen=True)
class Walk:
    """An index as four digits, the last one first: ``sizes`` of the last three, what each adds to the address, and
    the coordinates ``start + digit * step`` by the last three."""

    sizes: tuple[int, int, int] = (1, 1, 1)
    strides: tuple[int, int, int, int] = (0, 0, 0, 0)
    starts: tuple[int, int, int] = (0, 0, 0)
    steps: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def line(cls, size: int, stride: int) -> Walk:
        """A single digit."""
        return cls((max(size, 1), 1, 1), (stride, 0, 0, 0))

    @property
    def is_line(self) -> bool:
        return self.sizes[1:] == (1, 1) and self.strides[1:] == (0, 0, 0)

    def fields(self) -> list[int]:
        return [*(x for size in self.sizes for x in divider(size)), *self.strides, *self.starts, *self.steps]


@dataclass(frozen=True)
class Source:
    """An operand by line and depth, with coordinates within ``bounds`` if it is made of patches."""

    lines: Walk
    depth: Walk
    bounds: tuple[int, int, int] | None = None
    deep: bool = False
    """Neighbours in memory are neighbours in depth."""
    start: int = 0
    """Elements from the first one in memory to entry (0, 0)."""

    def fields(self, address: int) -> list[int]:
        return [address, self.start, *self.lines.fields(), *self.depth.fields(), *(self.bounds or (1, 1, 1))]


@dataclass(frozen=True)
class Batch:
    """Up to four digits, the last one first; strides of left, right, point, result and bias by each."""

    sizes: tuple[int, ...] = ()
    strides: tuple[tuple[int, ...], ...] = ((), (), (), (), ())

    @property
    def count(self) -> int:
        return prod(self.sizes)

    def fields(self) -> tuple[list[int], list[int]]:
        sizes = [*self.sizes, *[1] * (_AXES + 1 - len(self.sizes))][:_AXES]
        strides = [x for of in self.strides for x in [*of, *[0] * (_AXES + 1 - len(of))]]
        return [x for size in sizes for x in divider(size)], strides


@dataclass(frozen=True)
class Problem:
    """``result[b, row, column]``, see ``problem.hpp``; a point makes it the exact derivative.

    ``dtype`` is that of left, right and point; result and bias are float32.
    """

    left: Source
    right: Source
    out_rows: Walk
    out_columns: Walk
    rows: int
    columns: int
    depth: int
    batch: Batch = field(default_factory=Batch)
    point: Source | None = None
    bias_strides: tuple[int, int] = (0, 0)
    dtype: torch.dtype = torch.float32
    mantissa_bits: int = MANTISSA_BITS
    offset: int = 0

    @property
    def empty(self) -> bool:
        """The result has no entries."""
        return self.rows == 0 or self.columns == 0 or self.batch.count == 0

    @property
    def scattered(self) -> bool:
        """The result, or the point, is no matrix."""
        walks = [self.out_rows, self.out_columns]
        if self.point is not None:
            walks += [self.point.lines, self.point.depth]
        return not all(walk.is_line for walk in walks)
