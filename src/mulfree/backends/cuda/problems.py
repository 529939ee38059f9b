"""The description of a product that ``csrc/cuda/problem.hpp`` reads, and the choice of its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mulfree.backends.cuda.kernels import Launch, Launcher, Program, divider
from mulfree.numerics.formats import DOT_CHUNK, MANTISSA_BITS

_AXES = 3
_MOST_BLOCKS = 65535  # on the second and third dimension of a grid
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
    """An operand: entry (line, depth) of ``data``, which has coordinates within ``bounds`` if it is made of patches."""

    data: Tensor
    lines: Walk
    depth: Walk
    bounds: tuple[int, int, int] | None = None
    deep: bool = False
    """Neighbours in memory are neighbours in depth."""
    start: int = 0
    """Elements from the first of ``data`` to entry (0, 0)."""

    def fields(self) -> list[int]:
        return [
            self.data.data_ptr(),
            self.start,
            *self.lines.fields(),
            *self.depth.fields(),
            *(self.bounds or (1, 1, 1)),
        ]


@dataclass(frozen=True)
class Batch:
    """Up to four digits, the last one first; strides of left, right, point, result and bias by each."""

    sizes: tuple[int, ...] = ()
    strides: tuple[tuple[int, ...], ...] = ((), (), (), (), ())

    @property
    def count(self) -> int:
        total = 1
        for size in self.sizes:
            total *= size
        return total

    def fields(self) -> tuple[list[int], list[int]]:
        sizes = [*self.sizes, *[1] * (_AXES + 1 - len(self.sizes))][:_AXES]
        strides = [x for of in self.strides for x in [*of, *[0] * (_AXES + 1 - len(of))]]
        return [x for size in sizes for x in divider(size)], strides


@dataclass(frozen=True)
class Tiles:
    """Threads of a block and entries of a thread, by rows and columns."""

    thread_rows: int
    thread_columns: int
    rows: int
    columns: int

    @property
    def height(self) -> int:
        return self.thread_rows * self.rows

    @property
    def width(self) -> int:
        return self.thread_columns * self.columns

    @property
    def threads(self) -> int:
        return self.thread_rows * self.thread_columns


# From large to small ones; all have whole warps.
TILES = (Tiles(16, 16, 8, 8), Tiles(8, 8, 8, 8), Tiles(4, 16, 8, 8), Tiles(2, 32, 8, 4), Tiles(1, 64, 2, 2))
SLOPE_TILES = (Tiles(16, 16, 4, 4), Tiles(8, 8, 4, 4), Tiles(4, 16, 4, 4), Tiles(2, 32, 4, 4), Tiles(1, 64, 2, 2))


@dataclass(frozen=True)
class Problem:
    """``result[b, row, column]``, see ``problem.hpp``. ``out`` is float32; a point makes it the exact derivative."""

    left: Source
    right: Source
    out: Tensor
    out_rows: Walk
    out_columns: Walk
    rows: int
    columns: int
    depth: int
    batch: Batch = field(default_factory=Batch)
    point: Source | None = None
    bias: Tensor | None = None
    bias_strides: tuple[int, int] = (0, 0)
    mantissa_bits: int = MANTISSA_BITS
    offset: int = 0

    @property
    def scattered(self) -> bool:
        """The result, or the point, is no matrix."""
        walks = [self.out_rows, self.out_columns]
        if self.point is not None:
            walks += [self.point.lines, self.point.depth]
        return not all(walk.is_line for walk in walks)


def choose_tiles(problem: Problem, multiprocessors: int) -> Tiles:
    """The largest tiles that leave no more than half of their rows unused and give every multiprocessor one."""
    choices = TILES if problem.point is None else SLOPE_TILES
    if problem.rows <= choices[-1].height:
        return choices[-1]
    fitting = [t for t in choices[:-1] if problem.rows > t.height // 2] or [choices[-2]]
    for tiles in fitting:
        if _blocks(problem, tiles) >= multiprocessors:
            return tiles
    return fitting[min(1, len(fitting) - 1)]


def _blocks(problem: Problem, tiles: Tiles) -> int:
    return -(-problem.rows // tiles.height) * -(-problem.columns // tiles.width) * problem.batch.count


def run(launcher: Launcher, problem: Problem) -> None:
    """Fills ``problem.out``, whose entries all exist."""
    if problem.rows == 0 or problem.columns == 0 or problem.batch.count == 0:
        return
    tiles = choose_tiles(problem, launcher.multiprocessors())
    chunks = max(-(-problem.depth // DOT_CHUNK), 1)
    row_panels, column_panels = -(-problem.rows // tiles.height), -(-problem.columns // tiles.width)
    batches = problem.batch.count
    split = 1 < chunks <= _MOST_BLOCKS and batches == 1 and _blocks(problem, tiles) < launcher.multiprocessors()
    if column_panels > _MOST_BLOCKS:
        raise ValueError(f"a product of {problem.columns} columns is too wide for the CUDA kernels; split it")
    device = problem.out.device
    spans = torch.empty(batches * (row_panels + column_panels) * chunks * 4, dtype=torch.int32, device=device)
    workspace = torch.empty(chunks * problem.rows * problem.columns if split else 0, device=device)
    fields = _fields(problem, row_panels, spans, workspace)
    batch_blocks = min(batches, _MOST_BLOCKS)
    blocks = (row_panels + column_panels, min(chunks, _MOST_BLOCKS), batch_blocks)
    launcher.launch(Launch(_program("survey.cu", problem, tiles, False), "survey", blocks, 256, fields))
    program = _program("product.cu", problem, tiles, split)
    blocks = (row_panels, column_panels, chunks if split else batch_blocks)
    launcher.launch(Launch(program, "product", blocks, tiles.threads, fields))
    if split:
        count = problem.rows * problem.columns
        blocks = (min(-(-count // 256), 16 * launcher.multiprocessors()), 1, 1)
        launcher.launch(Launch(program, "totals", blocks, 256, _totals_fields(problem, workspace, chunks)))


def _program(source: str, problem: Problem, tiles: Tiles, split: bool) -> Program:
    return program(
        source, tiles, FORMATS[problem.left.data.dtype],
        (problem.left.bounds is not None, problem.right.bounds is not None, problem.scattered),
        (problem.left.deep, problem.right.deep), problem.point is not None, split,
    )  # fmt: skip


def program(
    source: str,
    tiles: Tiles,
    format_: int = 0,
    patches: Sequence[bool] = (False, False, False),
    deep: Sequence[bool] = (True, False),
    slopes: bool = False,
    split: bool = False,
) -> Program:
    """A program with the settings of ``problem.hpp``."""
    settings = {
        "FORMAT": format_, "LEFT_PATCHES": patches[0], "RIGHT_PATCHES": patches[1],
        "OUT_PATCHES": patches[2], "LEFT_DEEP": deep[0],
        "RIGHT_DEEP": deep[1], "SLOPES": slopes, "SPLIT": split, "THREAD_ROWS": tiles.thread_rows,
        "THREAD_COLUMNS": tiles.thread_columns, "ROWS": tiles.rows, "COLUMNS": tiles.columns,
    }  # fmt: skip
    return Program(source, tuple((f"MF_{name}", str(int(value))) for name, value in settings.items()))


def _fields(problem: Problem, row_panels: int, spans: Tensor, workspace: Tensor) -> list[int]:
    point = problem.point or problem.left
    batch_sizes, batch_strides = problem.batch.fields()
    return [
        *problem.left.fields(), *problem.right.fields(), *point.fields(),
        problem.out.data_ptr(), *problem.out_rows.fields(), *problem.out_columns.fields(),
        0 if problem.bias is None else problem.bias.data_ptr(), *problem.bias_strides,
        problem.rows, problem.columns, problem.depth, problem.batch.count, *batch_sizes, *batch_strides,
        MANTISSA_BITS - problem.mantissa_bits, problem.offset, row_panels, spans.data_ptr(), workspace.data_ptr(),
    ]  # fmt: skip


def _totals_fields(problem: Problem, workspace: Tensor, chunks: int) -> list[int]:
    return [
        problem.out.data_ptr(), workspace.data_ptr(), 0 if problem.bias is None else problem.bias.data_ptr(),
        *problem.bias_strides, problem.rows, problem.columns, chunks, *divider(problem.columns),
        *problem.out_rows.fields(), *problem.out_columns.fields(),
    ]  # fmt: skip
