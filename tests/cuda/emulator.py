"""A launcher that runs the CUDA kernels on the processor."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import pytest

from mulfree.backends.cuda.backend import CUDABackend
from mulfree.backends.cuda.kernels import Launch
from tests.cuda.build import COMPILER, built

Order = Literal["forward", "backward", "random", "warps"]


@dataclass(frozen=True)
class Schedule:
    """How threads and blocks take turns, see ``emulator.hpp``."""

    order: Order = "forward"
    seed: int = 0
    switching: int = 0
    """A thread hands over before one access to memory in so many; 0: at barriers only. Needs a checked library."""


class Range(ctypes.Structure):
    """Memory that a kernel may use."""

    _fields_ = (("start", ctypes.c_uint64), ("bytes", ctypes.c_uint64), ("space", ctypes.c_uint32))


GLOBAL, SHARED = range(2)
_MOST_BLOCKS = ((1 << 31) - 1, 65535, 65535)
_MOST_THREADS = 1024


class _Call(ctypes.Structure):
    _fields_ = (
        ("kernel", ctypes.c_void_p),
        ("arguments", ctypes.c_char_p),
        ("argument_bytes", ctypes.c_uint64),
        ("blocks", ctypes.c_uint32 * 3),
        ("threads", ctypes.c_uint32),
        ("order", ctypes.c_uint32),
        ("seed", ctypes.c_uint32),
        ("switching", ctypes.c_uint32),
        ("checked", ctypes.c_uint32),
        ("ranges", ctypes.POINTER(Range)),
        ("range_count", ctypes.c_uint64),
    )


def emulate(launch: Launch, schedule: Schedule, ranges: Iterable[Range] | None = None) -> str:
    """Runs a kernel. With ``ranges``, all that it may use, its accesses to memory are checked.

    Returns:
        its faults, one a line.
    """
    assert all(0 < size <= most for size, most in zip(launch.blocks, _MOST_BLOCKS, strict=True)), launch
    assert 0 < launch.threads <= _MOST_THREADS, launch
    checked = ranges is not None
    library, _ = built(launch.program, checked)
    parameter, found = launch.parameter(), list(ranges or ())
    assert checked or len(parameter) == library[f"{launch.kernel}_bytes"](), launch
    call = _Call(
        ctypes.cast(library[launch.kernel], ctypes.c_void_p), parameter, len(parameter),
        (ctypes.c_uint32 * 3)(*launch.blocks), launch.threads, get_args(Order).index(schedule.order), schedule.seed,
        schedule.switching, checked, (Range * len(found))(*found), len(found),
    )  # fmt: skip
    library.emulate(ctypes.byref(call))
    library.emulated_faults.restype = ctypes.c_char_p
    faults: bytes = library.emulated_faults()
    return faults.decode()


class EmulatedLauncher:
    """Runs each block after the other; a device of 2 multiprocessors."""

    def __init__(self, schedule: Schedule | None = None) -> None:
        self.schedule = schedule or Schedule()

    def multiprocessors(self) -> int:
        return 2

    def launch(self, launch: Launch) -> None:
        faults = emulate(launch, self.schedule)
        assert not faults, f"{launch.kernel} of {launch.program}: {faults}"


@cache
def emulated_backend() -> CUDABackend:
    """The CUDA backend on tensors of the processor."""
    return CUDABackend(EmulatedLauncher())


def skip_without_compiler() -> list[pytest.MarkDecorator]:
    """Marks of a test that needs the emulation."""
    return [] if COMPILER else [pytest.mark.skip(reason="the emulation of CUDA needs a C++ compiler")]
