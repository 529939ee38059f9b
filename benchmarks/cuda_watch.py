"""The products of a training as a CUDA device would be given them: the ways of their tiles, and what these allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.cuda_kernels.limits import LANES
from benchmarks.cuda_panels import (
    CLAMPED,
    EMPTY,
    FAST,
    GENERAL,
    WAYS,
    Bools,
    Ints,
    Spans,
    choose_ways,
    survey_problem,
)
from benchmarks.report import screen
from mulfree.backends.cpu import CPUBackend
from mulfree.backends.cuda import convolution, products
from mulfree.backends.cuda.backend import CUDABackend
from mulfree.backends.cuda.kernels import Launch, Launcher
from mulfree.backends.cuda.plans import Memory
from mulfree.backends.cuda.problems import Problem
from mulfree.backends.cuda.tiles import Tiles, choose
from mulfree.cli.settings import changes_of
from mulfree.numerics.formats import DOT_CHUNK, ONE, STEP
from mulfree.recipes import changed, load
from mulfree.train.errors import ConfigError

METHODS = ("matmul", "matmul_grad", "convolve", "convolve_transposed", "convolve_weight")
PASSES = ("forward", "backward")
_UNITS = 64  # IMADs, and as many other integer operations, of a multiprocessor a clock
GENERAL_INSTRUCTIONS = 85  # instructions a product, about: those of the compiled loop, branches not taken included
Floats = NDArray[np.float64]


def per_clock(tiles: Tiles, slopes: bool, way: int) -> float:
    """Products of a multiprocessor a clock in the loop of a way: what issue and units allow (cuda-kernels.md)."""
    if way == GENERAL:
        return LANES / GENERAL_INSTRUCTIONS
    loads = sum(-(-side // 4) for side in (tiles.rows, tiles.columns)) / (tiles.rows * tiles.columns)
    if slopes:  # IMADs or additions of integers twice, a mask
        return min(LANES / (4 + loads), _UNITS / 2)
    return LANES / (2 + loads) if way == FAST else min(LANES / (3 + 2 * loads), _UNITS / 2)


def kind(problem: Problem) -> str:
    """What a product is for."""
    patches = (problem.left.bounds is not None) + (problem.right.bounds is not None)
    return ("matrices", "convolution", "convolution by weight")[patches] + (", slopes" if problem.point else "")


@dataclass(frozen=True)
class Group:
    """What calls have in common."""

    backward: bool
    kind: str
    shape: str
    tiles: str


@dataclass
class Extremes:
    """Of the tiles' panels; NaN without tiles.

    Attributes:
        left, right: most octaves from the least to the greatest magnitude of a panel.
        least: exponent of the least product.
        zeros: scalar products in tiles whose left panel, and whose right one, has zeros.
    """

    left: float = np.nan
    right: float = np.nan
    least: float = np.nan
    zeros: Ints = field(default_factory=lambda: np.zeros(2, np.int64))

    def __iadd__(self, other: Extremes) -> Extremes:
        self.left, self.right = (float(np.fmax(*x)) for x in ((self.left, other.left), (self.right, other.right)))
        self.least = float(np.fmin(self.least, other.least))
        self.zeros += other.zeros
        return self


@dataclass
class Work:
    """Calls of products.

    Attributes:
        calls: their number.
        wanted: scalar products by way.
        issued: likewise, with those of a tile's entries that are not in the result.
        clocks: of a multiprocessor that computes what is wanted, and what is issued, at its limits.
        tiles, slow: of all, and of those that are clamped or general.
    """

    calls: int = 0
    wanted: Ints = field(default_factory=lambda: np.zeros(len(WAYS), np.int64))
    issued: Ints = field(default_factory=lambda: np.zeros(len(WAYS), np.int64))
    clocks: Floats = field(default_factory=lambda: np.zeros(2))
    tiles: Extremes = field(default_factory=Extremes)
    slow: Extremes = field(default_factory=Extremes)

    def __iadd__(self, other: Work) -> Work:
        self.calls += other.calls
        self.wanted += other.wanted
        self.issued += other.issued
        self.clocks += other.clocks
        self.tiles += other.tiles
        self.slow += other.slow
        return self


def total(parts: Iterable[Work]) -> Work:
    found = Work()
    for part in parts:
        found += part
    return found


def _lengths(count: int, size: int) -> Ints:
    """Of the pieces of ``count`` that are ``size`` long but for the last one."""
    return np.diff(np.append(np.arange(0, count, size), count)).astype(np.int64)


def measure(problem: Problem, memory: Memory, tiles: Tiles) -> Work:
    """The ways of a product with tiles of that size."""
    left, right = survey_problem(problem, memory.left, memory.right, tiles.height, tiles.width)
    slopes = memory.point is not None
    numbers = memory.point is None or not bool(memory.point.isnan().any())
    ways = choose_ways(left, right, problem.offset, slopes, numbers)
    rows, columns = _lengths(problem.rows, tiles.height), _lengths(problem.columns, tiles.width)
    depth = _lengths(problem.depth, DOT_CHUNK) if problem.depth else np.zeros(1, np.int64)
    weights = np.broadcast_to(rows[:, None, None] * columns[:, None] * depth, ways.shape)
    whole = np.broadcast_to(tiles.height * tiles.width * depth, ways.shape)
    wanted, issued = (np.array([int(x[ways == way].sum()) for way in range(len(WAYS))]) for x in (weights, whole))
    rates = np.array([np.inf if way == EMPTY else per_clock(tiles, slopes, way) for way in range(len(WAYS))])
    clocks = np.array([(wanted / rates).sum(), (issued / rates).sum()])
    extremes = (_extremes(left, right, problem.offset, weights, some) for some in (ways > EMPTY, ways >= CLAMPED))
    return Work(1, wanted, issued, clocks, *extremes)


def _extremes(left: Spans, right: Spans, offset: int, weights: Ints, some: Bools) -> Extremes:
    """Of some tiles."""
    a, b = left.along(2), right.along(1)
    some = some & ~(a.empty | b.empty)  # those with infinities or NaNs alone have no spans
    if not some.any():
        return Extremes()
    widths = [float(np.broadcast_to(x.high - x.low, some.shape)[some].max()) / STEP for x in (a, b)]
    least = float((a.low + b.low)[some].min() + offset - 2 * ONE) / STEP
    zeros = np.array([int(weights[some & x.zero].sum()) for x in (a, b)])
    return Extremes(widths[0], widths[1], least, zeros)


class Watch:
    """Stands for a device: hears of the products that it would be given."""

    def __init__(self, multiprocessors: int) -> None:
        self._multiprocessors = multiprocessors
        self.found: dict[Group, Work] = {}

    def multiprocessors(self) -> int:
        return self._multiprocessors

    def launch(self, launch: Launch) -> None:
        raise AssertionError(f"nothing but products was expected, got {launch.kernel} of {launch.program}")

    def run(self, launcher: Launcher, problem: Problem, memory: Memory) -> None:
        """In place of ``plans.run``."""
        if problem.empty:
            return
        tiles = choose(problem, launcher.multiprocessors()).tiles
        times = f"{problem.batch.count} x " if problem.batch.count > 1 else ""
        shape = f"{times}({problem.rows}, {problem.depth}) ({problem.depth}, {problem.columns})"
        backward = torch._C._current_graph_task_id() != -1
        group = Group(backward, kind(problem), shape, f"{tiles.height}x{tiles.width}")
        work = self.found.setdefault(group, Work())
        work += measure(problem, memory, tiles)


def _also(method: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: CPUBackend, *arguments: Any, **options: Any) -> Any:
        method(*arguments, **options)
        return original(self, *arguments, **options)

    return call


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """What the processor's kernels multiply meanwhile is shown to ``watch`` as a device would see it."""
    backend = CUDABackend(watch)
    with ExitStack() as stack:
        for module in (products, convolution):
            stack.enter_context(mock.patch.object(module, "run", watch.run))
        for name in METHODS:
            method = _also(getattr(backend, name), getattr(CPUBackend, name))
            stack.enter_context(mock.patch.object(CPUBackend, name, method))
        yield


@dataclass(frozen=True)
class Point:
    """The products of one step of a training, after ``steps`` steps."""

    recipe: str
    steps: int
    found: dict[Group, Work]


def trained(recipe: str, steps: Sequence[int], multiprocessors: int) -> Iterator[Point]:
    """Trains a recipe, "NAME" or "NAME,SECTION.FIELD=VALUE,...", and watches a step after each number of steps.

    Raises:
        ConfigError: there is no such recipe, or it has too few steps.
    """
    name, *settings = recipe.split(",")
    chosen = changed(load(name), {"training.workers": 0, **changes_of({}, settings)})
    trainer = chosen.make_trainer()
    if trainer.total_steps <= max(steps):
        raise ConfigError(f"{recipe} has {trainer.total_steps} steps, expected more than {max(steps)}")
    watches = {step + 1: Watch(multiprocessors) for step in steps}
    audits = lambda step: watching(watches[step]) if step in watches else nullcontext()  # noqa: E731
    running = track(trainer.steps(audits), recipe, max(steps) + 1, console=screen(), transient=True)
    for done in running:
        if done.step in watches:
            yield Point(recipe, done.step - 1, watches[done.step].found)
        if done.step > max(steps):
            return
