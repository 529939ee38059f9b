"""Time on a device, and how fast the device is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from benchmarks.harness import Budget, Timing

Call = Callable[[], object]

_WARM_UP = 3
_FLUSHED = 1 << 28  # bytes, more than any cache holds
_COPIED = 1 << 30  # bytes
_LONGEST_SLEEP = 50_000_000  # clocks
ISSUED = 128
"""Results of a multiprocessor a clock at most."""


class Timer(Protocol):
    """How long a call takes."""

    def seconds(self, call: Call) -> float:
        """Of one call."""
        ...


class EventTimer:
    """Device time between two events, with cold caches. The device is kept busy while the call is queued, so that the
    time of launching is in it only where the call waits for the device or queues more than the sleep covers."""

    def __init__(self, clock: float | None) -> None:
        """``clock`` in GHz."""
        self._clock = clock or 1.0
        self._memory = torch.empty(_FLUSHED // 4, dtype=torch.int32, device="cuda")

    def seconds(self, call: Call) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        before = time.perf_counter()
        call()
        queueing = time.perf_counter() - before
        torch.cuda.synchronize()
        self._memory.zero_()
        torch.cuda._sleep(min(int(2e9 * self._clock * queueing), _LONGEST_SLEEP))
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def time_in_turns(calls: Sequence[Call], timer: Timer, budget: Budget) -> list[Timing]:
    """Time the calls alternately, in an order that reverses every round."""
    for call in calls:
        for _ in range(_WARM_UP):
            call()
    samples: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    start = time.perf_counter()
    while len(samples[0]) < budget.fewest or (
        len(samples[0]) < budget.most and time.perf_counter() - start < budget.total
    ):
        for index in order:
            samples[index].append(timer.seconds(calls[index]))
        order.reverse()
    return [Timing(tuple(values), 1) for values in samples]


@dataclass(frozen=True)
class Speed:
    """Of a device: what it could do. ``clock`` in GHz, None where it is not known; ``copy`` in bytes read and written a
    second, as measured."""

    multiprocessors: int
    clock: float | None
    copy: float

    def products(self, instructions: int) -> float | None:
        """Products a second, of so many instructions each, if an instruction were issued at every clock."""
        if self.clock is None:
            return None
        return ISSUED / instructions * self.multiprocessors * self.clock * 1e9


def ask_driver(fact: str) -> str | None:
    """What nvidia-smi tells of the current device, such as ``driver_version``; None where it tells nothing."""
    uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
    command = ["nvidia-smi", f"--id=GPU-{uuid}", f"--query-gpu={fact}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def greatest_clock() -> float | None:
    """The highest clock of the current device's multiprocessors in GHz; None where nvidia-smi does not tell."""
    found = ask_driver("clocks.max.sm")
    return float(found) / 1e3 if found is not None and found.isdecimal() else None


def measure_copy(timer: Timer, budget: Budget, device: torch.device, size: int = _COPIED) -> float:
    """Bytes read and written a second by torch's copy of a large tensor."""
    source = torch.zeros(size // 4, device=device)
    target = torch.empty_like(source)
    (timing,) = time_in_turns([lambda: target.copy_(source)], timer, budget)
    return 2 * size / timing.median
