"""Kernels have no races and stay within their memory: what the checked emulation finds, and that it finds faults."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mulfree.backends.cuda.backend import CUDABackend
from mulfree.backends.cuda.kernels import Launch, Program, source_root
from mulfree.backends.cuda.programs import groups
from mulfree.backends.cuda.tiles import SLOPE_TILES, TILES
from mulfree.backends.select import named
from tests.backends.patterns import assert_same_bits
from tests.cuda.build import HERE
from tests.cuda.cases import CASES, Case
from tests.cuda.checks import CheckedBackend, FaultError, check, skip_without_checks
from tests.cuda.emulator import EmulatedLauncher, Schedule

pytestmark = [pytest.mark.native, *skip_without_checks()]

FAULTY = Program(str(HERE / "faulty.cu"))
THREADS, BLOCKS = 64, 3
QUICK = [case for case in CASES if not case.slow]
_PRODUCTS = ("products", "slopes", "patches")
SCHEDULES = (
    Schedule(),
    Schedule("backward"),
    Schedule("random", seed=1),
    Schedule("random", seed=2, switching=5),
    Schedule("warps", seed=3, switching=20),
)


def _launch(kernel: str, out: Tensor, given: Tensor) -> Launch:
    return Launch(FAULTY, kernel, (BLOCKS, 1, 1), THREADS, [out.data_ptr(), given.data_ptr()])


def _tensors() -> tuple[Tensor, Tensor]:
    """A result with room around it, and an operand."""
    return torch.zeros(BLOCKS * THREADS + 32, dtype=torch.int32)[16:-16], torch.arange(THREADS, dtype=torch.int32)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize(("kernel", "distance"), [("swapped_by_block", 32), ("swapped_by_warp", 1), ("constant", 0)])
def test_kernels_without_a_fault_pass(kernel: str, distance: int, schedule: Schedule) -> None:
    out, given = _tensors()
    check(_launch(kernel, out, given), schedule, (out, given))
    assert torch.equal(out, (given ^ distance).repeat(BLOCKS))


@pytest.mark.parametrize("schedule", [SCHEDULES[0], SCHEDULES[3]], ids=str)
@pytest.mark.parametrize(
    ("kernel", "fault"),
    [
        ("no_barrier", "race: a (read, and a write|write, and a read)"),
        ("warp_for_block", "race: a (read, and a write|write, and a read)"),
        ("no_warp_barrier", "race: a (read, and a write|write, and a read)"),
        ("shuffle_for_warp_barrier", "race: a (read, and a write|write, and a read)"),
        ("overtaken", "race: a (read, and a write|write, and a read)"),
        ("blocks_write", "race: a write, and a write"),
        ("block_reads", "race: a (read, and a write|write, and a read)"),
        ("constant_written", "as constant"),
        ("reads_beyond", "a read out of bounds"),
        ("writes_before", "a write out of bounds"),
        ("shared_beyond", "a write out of bounds"),
        ("shared_unwritten", "before the block has written it"),
        ("crooked", "no multiple of the size"),
        ("parameter_beyond", "a read out of bounds"),
        ("for_fewer", "more threads than the kernel is for"),
        ("ended_lane", "(lanes of the warp have ended|a lane ends while others wait)"),
        ("different_barriers", "different barriers"),
        ("waits_for_ever", "wait for ever"),
    ],
)
def test_faults_are_reported_with_their_place(kernel: str, fault: str, schedule: Schedule) -> None:
    out, given = _tensors()
    with pytest.raises(FaultError, match=rf"(?s){kernel} of .*{fault}") as found:
        check(_launch(kernel, out, given), schedule, (out, given))
    assert re.search(r"faulty\.cu:\d+", str(found.value)) or kernel == "waits_for_ever"


@pytest.mark.parametrize(("blocks", "threads"), [((1, 65536, 1), THREADS), ((1, 1, 0), THREADS), ((1, 1, 1), 1056)])
def test_launches_that_a_device_refuses(blocks: tuple[int, int, int], threads: int) -> None:
    out, given = _tensors()
    launch = replace(_launch("constant", out, given), blocks=blocks, threads=threads)
    with pytest.raises(AssertionError, match="kernel='constant'"):
        check(launch, SCHEDULES[0], (out, given))


def test_an_order_shows_what_another_hides() -> None:
    """Without a barrier the threads of the second warp find what the first has written, if that comes first."""
    right = []
    for schedule, first_block in ((Schedule("forward"), 0), (Schedule("backward"), BLOCKS - 1)):
        out, given = _tensors()
        given += 1000 * (1 + first_block)  # not what the memory still holds
        EmulatedLauncher(schedule).launch(_launch("no_barrier", out, given))
        correct = out.view(BLOCKS, THREADS)[first_block] == given.roll(32)
        right.append((bool(correct[:32].all()), bool(correct[32:].all())))
    assert right == [(False, True), (True, False)]


class _Recorder(EmulatedLauncher):
    """Runs nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: set[tuple[Program, str]] = set()

    def launch(self, launch: Launch) -> None:
        self.launches.add((launch.program, launch.kernel))


def _launches(cases: Iterable[Case]) -> set[tuple[Program, str]]:
    recorder = _Recorder()
    for case in cases:
        case.run(CUDABackend(recorder))
    return recorder.launches


def test_the_quick_cases_have_all_kernels_and_tiles() -> None:
    launches = _launches(QUICK)
    sources = {path.name: path.read_text() for path in (source_root() / "cuda").glob("*.cu")}
    kernels = {(name, kernel) for name, text in sources.items() for kernel in re.findall(r"MF_KERNEL\((\w+),", text)}
    assert {(program.source, kernel) for program, kernel in launches} == kernels
    names = ("MF_THREAD_ROWS", "MF_THREAD_COLUMNS", "MF_ROWS", "MF_COLUMNS", "MF_SLOPES")
    settings = [dict(program.defines) for program, kernel in launches if kernel == "product"]
    tiles = {tuple(int(of[name]) for name in names) for of in settings}
    assert tiles == {
        (t.thread_rows, t.thread_columns, t.rows, t.columns, slopes)
        for slopes, choices in enumerate((TILES, SLOPE_TILES))
        for t in choices
    }


def test_all_cases_have_all_programs() -> None:
    """But those of products, of which there are many."""
    launched = {program for program, _ in _launches(CASES)}
    wanted = {of.program for name, group in groups().items() for of in group if name not in _PRODUCTS}
    assert wanted <= launched


def _check(case: Case, schedules: Iterable[Schedule], multiprocessors: int = 2) -> None:
    expected = case.run(named("cpu"))
    for schedule in schedules:
        for actual, wanted in zip(case.run(CheckedBackend(schedule, multiprocessors)), expected, strict=True):
            if wanted.is_floating_point():
                assert_same_bits(actual, wanted)
            else:
                assert torch.equal(actual, wanted)


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_kernels_have_no_faults(case: Case) -> None:
    _check(case, (SCHEDULES[1], SCHEDULES[3]))


@pytest.mark.usefixtures("small_grids")
@pytest.mark.parametrize("case", QUICK, ids=str)
def test_nor_have_loops_over_a_grid(case: Case) -> None:
    _check(case, SCHEDULES[4:], multiprocessors=1)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_have_no_faults_in_more_orders(case: Case) -> None:
    _check(case, (SCHEDULES[0], SCHEDULES[2], Schedule("random", 7, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nor_on_a_large_device(case: Case) -> None:
    """Depths are split and tiles are small."""
    _check(case, (Schedule("warps", 8, 3),), multiprocessors=132)


@pytest.mark.slow
@pytest.mark.usefixtures("small_grids")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_nor_have_loops_over_a_grid_in_more_orders(case: Case) -> None:
    _check(case, (SCHEDULES[1], Schedule("random", 9, 3)), multiprocessors=1)
