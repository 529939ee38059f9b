"""Ways of tiles in training: spans and choices are those of the CUDA sources, and the command reports them."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from math import prod
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import mulfree.functional as MF
from benchmarks import cuda_ways as command
from benchmarks.cuda_panels import CLAMPED, EMPTY, FAST, GENERAL, Spans, choose_ways, survey_problem
from benchmarks.cuda_watch import Watch, Work, per_clock, total, watching
from mulfree.backends.cpu import CPUBackend
from mulfree.backends.cuda import convolution, plans, products
from mulfree.backends.cuda.backend import CUDABackend
from mulfree.backends.cuda.kernels import Launch, Launcher, Program
from mulfree.backends.cuda.plans import Memory
from mulfree.backends.cuda.problems import Problem
from mulfree.backends.cuda.tiles import SLOPE_TILES, TILES, choose
from mulfree.numerics.convolution import Window
from mulfree.numerics.formats import INF, MIN, ONE, STEP
from tests.backends.patterns import log_uniform, sprinkled
from tests.cuda.emulator import EmulatedLauncher, Schedule, emulate, skip_without_compiler

KERNEL = """
#include "ways.hpp"
namespace mulfree::MF_TARGET {
struct Args { const std::int64_t* spans; std::int64_t* ways; std::int64_t count, offset, numbers; };
inline Span span(const std::int64_t* of) {
  Span found;
  if (of[0] <= of[1]) found.low = of[0], found.high = of[1];
  found.zero = of[2], found.special = of[3];
  return found;
}
MF_KERNEL(ways, Args, 32) {
  for (std::int64_t i = 0; i < args.count; ++i) {
    const Code code = choose_way(span(args.spans + 8 * i), span(args.spans + 8 * i + 4), args.offset, args.numbers);
    args.ways[i] = static_cast<std::int64_t>(code.way);
  }
}
}
"""


def _spans(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """(count, 4): around any magnitude and of any width; some without numbers."""
    middle, half = rng.integers(MIN, INF, count), rng.integers(0, 1 << rng.integers(1, 31, count))
    low, high = np.maximum(middle - half, MIN), np.minimum(middle + half, INF - 1)
    nothing = rng.random(count) < 0.05
    low, high = np.where(nothing, (1 << 31) - 1, low), np.where(nothing, -1, high)
    return np.stack([low, high, rng.random(count) < 0.5, rng.random(count) < 0.05], axis=1)


def _as_spans(fields: NDArray[np.int64]) -> Spans:
    """As as many batches of one panel."""
    low, high, zero, special = fields.T.reshape(4, -1, 1, 1)
    return Spans(low, high, zero != 0, special != 0)


@pytest.mark.parametrize("slopes", [pytest.param(x, marks=skip_without_compiler()) for x in (False, True)])
def test_ways_are_those_of_the_header(slopes: bool, tmp_path: Path) -> None:
    rng, count = np.random.default_rng(0), 200_000
    left, right = _spans(rng, count), _spans(rng, count)
    balanced = np.where(rng.random(count) < 0.8, 2 * ONE - left[:, 0] - right[:, 0], 0)  # products about 1
    right[:, 0] = np.clip(right[:, 0] + balanced, MIN, right[:, 1])
    both = np.ascontiguousarray(np.concatenate([left, right], axis=1))
    (tmp_path / "ways.cu").write_text(KERNEL)
    program = Program(str(tmp_path / "ways.cu"), plans.program("", TILES[0], slopes=slopes).defines)
    seen = set()
    for offset, numbers in ((0, True), (0, False), (3 << 20, True), (-2 * STEP - 5, True)):
        expected = np.full(count, -1, np.int64)
        fields = (both.ctypes.data, expected.ctypes.data, count, offset, int(numbers))
        assert not emulate(Launch(program, "ways", (1, 1, 1), 1, fields), Schedule())
        found = choose_ways(_as_spans(left), _as_spans(right), offset, slopes, numbers)
        assert (found.ravel() == expected).all()
        seen |= set(expected.tolist())
    assert seen == ({EMPTY, FAST, GENERAL} if slopes else {EMPTY, FAST, CLAMPED, GENERAL})


class _Surveys(EmulatedLauncher):
    """Runs the surveys only, and compares what they find."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[NDArray[np.int32]] = []
        self.compared = 0

    def launch(self, launch: Launch) -> None:
        if launch.kernel != "survey":
            return
        super().launch(launch)
        address, _ = struct.unpack("<2q", launch.parameter()[-16:])
        panels, chunks, batches = launch.blocks
        count = 4 * prod(launch.blocks)
        words = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_int32)), (count,)).copy()
        self.words.append(words.reshape(batches, panels, chunks, 4))

    def run(self, launcher: Launcher, problem: Problem, memory: Memory) -> None:
        plans.run(launcher, problem, memory)
        tiles = choose(problem, launcher.multiprocessors()).tiles
        left, right = survey_problem(problem, memory.left, memory.right, tiles.height, tiles.width)
        for field, (a, b) in enumerate(zip(vars(left).values(), vars(right).values(), strict=True)):
            assert (np.concatenate([a, b], axis=1) == self.words[-1][..., field]).all()
        self.compared += 1


def _matrix(*shape: int) -> Tensor:
    """Numbers of all magnitudes, denormals too, with zeros, infinities and NaNs in places."""
    seed = sum(shape)
    return sprinkled(log_uniform(prod(shape), seed), seed).view(shape)


WINDOW = Window(stride=(2, 1), padding=(1, 1), dilation=(1, 2), groups=2)
CALLS: dict[str, Callable[[CUDABackend], object]] = {
    "matrices": lambda b: b.matmul(_matrix(70, 300), _matrix(300, 20)),
    "transposed": lambda b: b.matmul(_matrix(300, 20).mT, _matrix(40, 300).mT),
    "few columns": lambda b: b.matmul(_matrix(9, 20), _matrix(20, 1)),
    "broadcast batch": lambda b: b.matmul(_matrix(3, 1, 5, 6)[..., 1:, :], _matrix(2, 6, 7)),
    "narrow": lambda b: b.matmul(_matrix(5, 40), _matrix(40, 7), mantissa_bits=4),
    "float16": lambda b: b.matmul(_matrix(5, 40).half(), _matrix(40, 7).half()),
    "empty depth": lambda b: b.matmul(_matrix(5, 0), _matrix(0, 7)),
    "slopes": lambda b: b.matmul_grad(_matrix(9, 40), _matrix(40, 30), _matrix(9, 30)),
    "convolution": lambda b: b.convolve(_matrix(2, 4, 9, 8), _matrix(6, 2, 3, 3), None, WINDOW, (5, 6)),
    "by input": lambda b: b.convolve_transposed(_matrix(2, 6, 5, 6), _matrix(6, 2, 3, 3), None, WINDOW, (9, 8)),
    "by weight": lambda b: b.convolve_weight(_matrix(2, 6, 5, 6), _matrix(2, 4, 9, 8), WINDOW, (3, 3)),
}


@pytest.mark.parametrize("call", [pytest.param(name, marks=skip_without_compiler()) for name in CALLS])
def test_spans_are_those_of_the_survey(call: str) -> None:
    launcher = _Surveys()
    with mock.patch.object(products, "run", launcher.run), mock.patch.object(convolution, "run", launcher.run):
        CALLS[call](CUDABackend(launcher))
    assert launcher.compared >= 1


def _watched(call: Callable[[], object]) -> Work:
    watch = Watch(132)
    with watching(watch):
        call()
    return total(watch.found.values())


def _shares(left: Tensor, right: Tensor) -> list[float]:
    wanted = _watched(lambda: MF.matmul(left, right)).wanted
    assert wanted.sum() == left.shape[0] * left.shape[1] * right.shape[1]
    return [float(x) for x in wanted / wanted.sum()]


@pytest.mark.native
def test_products_are_counted_by_way() -> None:
    ones = torch.ones(20, 300)  # a tile of rows, two of columns, two chunks
    assert _shares(ones, torch.ones(300, 200)) == [0, 1, 0, 0]
    some = torch.ones(300, 200)
    some[:256, :128] = 0.0
    some[256:, :128] = 2.0**-120
    some[:256, 128:] = float("inf")
    share = 20 * 200 * 300 / 20
    expected = [128 * 256 / share, 0, 0, 72 * 256 / share]
    half = ones.clone()
    half[:, 299] = 0.0
    expected[FAST], expected[CLAMPED] = 72 * 44 / share, 128 * 44 / share
    assert _shares(half, some) == pytest.approx(expected)


@pytest.mark.native
def test_results_stay_as_they_are_and_passes_are_told_apart() -> None:
    def results() -> list[Tensor]:
        x, w = torch.arange(24.0).view(4, 6).requires_grad_(), torch.ones(6, 3, requires_grad=True)
        y = MF.matmul(x, w)
        y.sum().backward()
        assert x.grad is not None
        return [y.detach(), x.grad]

    plain, method, watch = results(), CPUBackend.matmul, Watch(132)
    with watching(watch):
        seen = results()
    assert all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))
    assert CPUBackend.matmul is method
    assert {(group.backward, group.shape) for group in watch.found} == {
        (False, "(4, 6) (6, 3)"),
        (True, "(4, 3) (3, 6)"),
        (True, "(6, 4) (4, 3)"),
    }
    one = watch.found[next(group for group in watch.found if not group.backward)]
    assert one.wanted.sum() == 4 * 6 * 3
    assert one.issued.sum() == 2 * (2 * 128) * 6  # two tiles


def test_limits_of_the_loops() -> None:
    """Those of docs/results/cuda-kernels.md."""
    assert 128 / per_clock(TILES[0], False, FAST) == pytest.approx(2.06, abs=0.005)
    assert 128 / per_clock(TILES[-1], False, FAST) == 2.5
    assert per_clock(TILES[0], False, CLAMPED) == 32
    assert per_clock(TILES[-1], False, CLAMPED) == pytest.approx(128 / 4)
    assert 128 / per_clock(SLOPE_TILES[0], True, FAST) == pytest.approx(4.17, abs=0.05)


@pytest.mark.native
def test_the_command_reports_a_training(tmp_path: Path) -> None:
    path, recipe = tmp_path / "ways.md", "digits,task.depth=1"
    assert command.main([recipe, "--steps", "0", "1", "--multiprocessors", "4", "--output", str(path)]) == 0
    text = path.read_text()
    assert f"python -m benchmarks.cuda_ways {recipe} --steps 0 1" in text
    assert f"| {recipe} | 1 | backward |" in text
    assert "(1024, 64) (64, 192)" in text


def test_the_command_refuses_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--output", "ways.txt"]) == 1
    assert ".md" in capsys.readouterr().err
    assert command.main(["no-such-recipe"]) == 1
    assert "no-such-recipe" in capsys.readouterr().err
    assert command.main(["digits", "--steps", "1000000"]) == 1
    assert "steps" in capsys.readouterr().err
