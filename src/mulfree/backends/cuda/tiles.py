"""Which tiles a product is computed with, and whether its depth is split: the fewest clocks by a simple model.

A multiprocessor has four schedulers, each of which issues an instruction of a warp a clock. What a slice of the depth
takes is counted from the machine code for sm_90 (``docs/results/cuda-kernels.md``): two instructions a product (four
for slopes), what loads and stores a thread's words of both operands, and the ends of a chunk. The model leaves out
memory, and nothing of it was measured on a device.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mulfree.backends.cuda.problems import Problem
from mulfree.numerics.formats import DOT_CHUNK

MOST_BLOCKS = 65535  # on the second and third dimension of a grid
SLICE = 8  # kSlice of csrc/cuda/loader.hpp

_SCHEDULERS = 4
_ALONE = 0.7  # of the clocks, a warp that has a scheduler to itself issues
_A_WORD, _A_WORD_OF_PATCHES = 12.0, 36.0  # instructions
_A_SLICE = 12.0
_AN_ENTRY = 14.0  # at the end of a chunk
_A_BLOCK = 700.0
_LAUNCH = 4000.0  # clocks
_BYTES = 11.5  # to or from memory, of a multiprocessor a clock
_WARP = 32


@dataclass(frozen=True)
class Tiles:
    """Threads of a block and entries of a thread, by rows and columns; ``resident`` blocks fit a multiprocessor."""

    thread_rows: int
    thread_columns: int
    rows: int
    columns: int
    resident: int = 1

    @property
    def height(self) -> int:
        return self.thread_rows * self.rows

    @property
    def width(self) -> int:
        return self.thread_columns * self.columns

    @property
    def threads(self) -> int:
        return self.thread_rows * self.thread_columns

    @property
    def words(self) -> tuple[int, int]:
        """That a thread loads for a slice, of left and right."""
        return -(-SLICE * self.height // self.threads), -(-SLICE * self.width // self.threads)

    def panels(self, problem: Problem) -> tuple[int, int]:
        """Of rows and of columns."""
        return -(-problem.rows // self.height), -(-problem.columns // self.width)


# From large to small ones; all have whole warps.
TILES = (
    Tiles(16, 16, 8, 8, 1), Tiles(8, 16, 8, 8, 2), Tiles(16, 8, 8, 8, 2), Tiles(8, 8, 8, 8, 4), Tiles(4, 16, 8, 8, 4),
    Tiles(4, 8, 8, 8, 8), Tiles(8, 8, 4, 4, 10), Tiles(4, 32, 4, 4, 5), Tiles(1, 64, 2, 2, 12),
)  # fmt: skip
SLOPE_TILES = (
    Tiles(16, 16, 4, 4, 1), Tiles(8, 8, 4, 4, 6), Tiles(4, 16, 4, 4, 6), Tiles(2, 32, 4, 4, 6), Tiles(1, 64, 2, 2, 10),
)  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """Tiles, and whether each chunk of the depth goes to a block of its own; ``clocks`` by the model."""

    tiles: Tiles
    split: bool
    clocks: float


def choose(problem: Problem, multiprocessors: int) -> Choice:
    """The choice with the fewest clocks; of equal ones that with the largest tiles, and without a split."""
    chunks = chunks_of(problem)
    splits = (False, True) if 1 < chunks <= MOST_BLOCKS and problem.batch.count == 1 else (False,)
    choices = [
        Choice(tiles, split, _clocks(problem, tiles, split, multiprocessors))
        for tiles in (TILES if problem.point is None else SLOPE_TILES)
        for split in splits
    ]
    return min(choices, key=lambda choice: choice.clocks)


def chunks_of(problem: Problem) -> int:
    """Of the depth; an empty one is a chunk."""
    return max(-(-problem.depth // DOT_CHUNK), 1)


def blocks_of(problem: Problem, tiles: Tiles) -> int:
    """Without a split."""
    return prod(tiles.panels(problem)) * problem.batch.count


def _clocks(problem: Problem, tiles: Tiles, split: bool, multiprocessors: int) -> float:
    chunks, blocks = chunks_of(problem), blocks_of(problem, tiles)
    after = 0.0
    if split:  # `totals` reads what the chunks' blocks have written
        blocks *= chunks
        sums = problem.rows * problem.columns * chunks
        after = _LAUNCH + 8 * sums / (_BYTES * multiprocessors)
    each = _instructions(problem, tiles, 1 if split else chunks)
    warps = tiles.threads // _WARP
    waves, rest = divmod(blocks, multiprocessors * tiles.resident)
    clocks = waves * _together(tiles.resident * warps, each)
    return after + clocks + (_together(-(-rest // multiprocessors) * warps, each) if rest else 0.0)


def _together(warps: int, instructions: float) -> float:
    """Clocks until so many warps of a multiprocessor have issued so many instructions each."""
    return max(warps * instructions / _SCHEDULERS, instructions / _ALONE)


def _instructions(problem: Problem, tiles: Tiles, chunks: int) -> float:
    """Of a thread, for so many chunks of a tile."""
    slices = -(-min(problem.depth, chunks * DOT_CHUNK) // SLICE)
    entries = tiles.rows * tiles.columns
    loads = (tiles.rows + tiles.columns) / 4  # of up to four words from shared memory
    a_slice = SLICE * (entries * (2 if problem.point is None else 4) + loads) + _A_SLICE
    for words, source in zip(tiles.words, (problem.left, problem.right), strict=True):
        a_slice += words * (_A_WORD if source.bounds is None else _A_WORD_OF_PATCHES)
    return slices * a_slice + chunks * entries * _AN_ENTRY + _A_BLOCK
