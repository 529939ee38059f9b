"""What every benchmark shares: the order verify, time in turns, compare; and the checks of results.

A benchmark is a ``Case``. ``evaluate`` first runs its verification, then times our call and the rivals' in
turns within one process, so that a slow spell of the machine hits all of them, and returns one ``Result`` per
comparison.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Call = Callable[[], object]


class WrongResultError(AssertionError):
    """A benchmark's result differs from the one it must have; it is not timed."""


@dataclass(frozen=True)
class Context:
    """What the benchmarks of one run have in common.

    ``wide`` says which column of the targets applies: True for the AVX-512 kernels, else that of AVX2.
    ``quick`` shrinks every size, to try the harness and not the kernels.
    """

    threads: int
    wide: bool
    quick: bool
    generator: torch.Generator

    def target(self, *, avx512: float | None, avx2: float | None) -> float | None:
        return avx512 if self.wide else avx2

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)


@dataclass(frozen=True)
class Rival:
    """A call that does the same work with multiplications; ``target`` is the least ratio of speeds asked for.

    A ``bound`` is no rival but what the instructions of ours allow: the ratio is our share of it.
    """

    name: str
    run: Call
    target: float | None
    bound: bool = False


@dataclass(frozen=True)
class Case:
    """One piece of work: ours, the rivals, and a check that ours returns what the law says.

    With ``best_target`` one more comparison is made, with the fastest rival.
    """

    work: str
    data: str
    ours: Call
    rivals: tuple[Rival, ...]
    verify: Callable[[], None]
    best_target: float | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: a sample is the mean of ``loops`` calls."""

    samples: tuple[float, ...]
    loops: int

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        return min(self.samples)


@dataclass(frozen=True)
class Result:
    """One row of the table. ``ours`` and ``theirs`` are medians in ``unit``; ``ratio`` is theirs / ours."""

    group: str
    work: str
    data: str
    rival: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    ratio_of_best: float
    target: float | None
    samples: int

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.ratio >= self.target


@dataclass(frozen=True)
class Budget:
    """How long to time: at least ``sample`` seconds a sample, about ``total`` seconds a case."""

    sample: float = 0.005
    total: float = 2.0
    fewest: int = 5
    most: int = 200


def _seconds(call: Call, loops: int) -> float:
    start = time.perf_counter()
    for _ in range(loops):
        call()
    return (time.perf_counter() - start) / loops


_PAUSE = 0.03
"""Seconds before a sample: idle threads of a rival spin for some 20 ms and would take the cores from the next."""

_WARM_UP = 0.01
"""Seconds of untimed calls after the pause, at least one call: cores that slept need some ms to come back."""


def _warm_up(call: Call) -> None:
    start = time.perf_counter()
    call()
    while time.perf_counter() - start < _WARM_UP:
        call()


def time_in_turns(calls: Sequence[Call], budget: Budget) -> list[Timing]:
    """Time the calls alternately; each round runs every call once, in an order that reverses every round."""
    loops = []
    for call in calls:
        _warm_up(call)
        loops.append(max(1, int(budget.sample / max(_seconds(call, 1), 1e-9))))
    samples: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    start = time.perf_counter()
    while len(samples[0]) < budget.fewest or (
        len(samples[0]) < budget.most and time.perf_counter() - start < budget.total
    ):
        for index in order:
            time.sleep(_PAUSE)
            _warm_up(calls[index])
            samples[index].append(_seconds(calls[index], loops[index]))
        order.reverse()
    return [Timing(tuple(values), count) for values, count in zip(samples, loops, strict=True)]


def evaluate(group: str, case: Case, budget: Budget) -> Iterator[Result]:
    """Verify ``case``, time it and compare it with its rivals.

    Raises:
        WrongResultError: the result is not the one it must be; nothing is timed then.
    """
    case.verify()
    ours, *theirs = time_in_turns([case.ours, *(rival.run for rival in case.rivals)], budget)

    def compare(name: str, other: Timing, target: float | None) -> Result:
        return Result(
            group=group,
            work=case.work,
            data=case.data,
            rival=name,
            unit="s",
            ours=ours.median,
            theirs=other.median,
            ratio=other.median / ours.median,
            ratio_of_best=other.best / ours.best,
            target=target,
            samples=len(ours.samples),
        )

    for rival, timing in zip(case.rivals, theirs, strict=True):
        yield compare(rival.name, timing, rival.target)
    if case.best_target is not None:
        others = [(rival.name, timing) for rival, timing in zip(case.rivals, theirs, strict=True) if not rival.bound]
        names = "/".join(name for name, _ in others)
        fastest = min((timing for _, timing in others), key=lambda timing: timing.median)
        yield compare(f"best of {names}", fastest, case.best_target)


def require_same_bits(name: str, actual: Tensor, expected: Tensor) -> None:
    """``actual`` must equal ``expected`` bit by bit.

    Raises:
        WrongResultError: they differ; says how many entries do and shows the first.
    """
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        raise WrongResultError(
            f"{name}: expected {tuple(expected.shape)} {expected.dtype}, got {tuple(actual.shape)} {actual.dtype}"
        )
    left = actual.detach().contiguous().view(torch.int32).flatten()
    right = expected.detach().contiguous().view(torch.int32).flatten()
    wrong = (left != right).nonzero().flatten()
    if wrong.numel():
        first = int(wrong[0])
        raise WrongResultError(
            f"{name}: {wrong.numel()} of {left.numel()} entries differ from the law; entry {first} of the sample is "
            f"{int(left[first]) & 0xFFFFFFFF:#010x} and must be {int(right[first]) & 0xFFFFFFFF:#010x}"
        )


def require_close(name: str, actual: Tensor, expected: Tensor, allowed: Tensor) -> None:
    """|actual - expected| <= allowed, entry by entry, where all three are finite.

    Raises:
        WrongResultError: an entry is farther away.
    """
    distance = (actual - expected).abs()
    wrong = (distance > allowed) & distance.isfinite() & allowed.isfinite()
    if bool(wrong.any()):
        worst = float((distance / allowed)[wrong].max())
        raise WrongResultError(
            f"{name}: {int(wrong.sum())} entries are farther off than allowed, by a factor of up to {worst:.3g}"
        )
