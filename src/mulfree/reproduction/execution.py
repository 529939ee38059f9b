"""Training what a table lacks: run by run, or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mulfree.recipes import Options, Recipe, train_recipe
from mulfree.recipes.runs import Screen, stored_result
from mulfree.reproduction.results import folder_of
from mulfree.reproduction.table import Table
from mulfree.train.errors import Interrupted, NonFiniteLossError, OutputError
from mulfree.train.loop import Step
from mulfree.train.run import diverged

_PAUSE = 0.5
"""Seconds between a process's messages of progress."""


@dataclass(frozen=True)
class Job:
    """A run that is not complete."""

    recipe: Recipe
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        folder: of the run.
        error: why it has no result; empty if it has one.
        stopped: number of the signal that stopped it; 0 for none.
    """

    folder: Path
    error: str = ""
    stopped: int = 0


def jobs(table: Table, seeds: Sequence[int], output: Path, retry: bool = False) -> list[Job]:
    """The runs without a result, seed by seed, so that a table fills evenly; with ``retry`` also those that diverged.

    Raises as ``stored_result``.
    """
    found: dict[Path, Job] = {}
    for seed in seeds:
        for cell in table.cells:
            folder, recipe = folder_of(cell, seed, output), cell.run(seed)
            if stored_result(recipe, folder) is None and (retry or not diverged(folder)):
                found.setdefault(folder, Job(recipe, folder))
    return list(found.values())


def run_all(todo: Sequence[Job], processes: int, threads: int, device: str, screen: Screen) -> list[Outcome]:
    """Train them; a run that diverges does not stop the others.

    Args:
        todo: what to train.
        processes: that train at the same time.
        threads: of each.
        device: where to train.
        screen: shows how far the runs are.

    Raises:
        Interrupted: a signal to stop came; the runs have checkpoints and go on from there the next time.
        ConfigError: settings or data that cannot be used.
        OutputError: a folder that cannot be written to.
    """
    if processes > 1 and len(todo) > 1:
        return _in_processes(todo, processes, threads, device, screen)
    outcomes = []
    for job in todo:
        outcomes.append(_run(job, threads, device, screen))
        if outcomes[-1].stopped:
            raise Interrupted(outcomes[-1].stopped, outcomes[-1].error)
    return outcomes


def _in_processes(todo: Sequence[Job], processes: int, threads: int, device: str, screen: Screen) -> list[Outcome]:
    """No more runs are handed out than there are free processes, so that a stop leaves none waiting."""
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    queued, running = deque(todo), set[Future[Outcome]]()
    outcomes: list[Outcome] = []
    with (
        _listening(messages, screen),
        _stopping() as came,
        ProcessPoolExecutor(min(processes, len(todo)), context, _begin, (messages,)) as pool,
    ):
        try:
            while running or (queued and not came):
                while queued and not came and len(running) < processes:
                    with _interrupts_blocked():  # inherited by the process that this may start
                        running.add(pool.submit(_remote, queued.popleft(), threads, device))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                outcomes += [future.result() for future in done]
        except BrokenProcessPool:
            if not came:
                raise OutputError("a process that trained ended unexpectedly: killed, or out of memory") from None
        except BaseException:
            _stop_children()
            raise
    if came:
        raise Interrupted(came[0], "stopped; the runs have checkpoints")
    return outcomes


def _run(job: Job, threads: int, device: str, screen: Screen) -> Outcome:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        train_recipe(job.recipe, Options(job.folder.parent, device=device, resume=True), screen)
    except NonFiniteLossError as error:
        return Outcome(job.folder, str(error))
    except Interrupted as error:
        return Outcome(job.folder, str(error), error.code - 128)
    finally:
        torch.set_num_threads(before)
    return Outcome(job.folder)


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """While the block runs, a signal to stop is noted and ends the runs of other processes at their next step."""
    came: list[int] = []

    def stop(number: int, _: Any) -> None:
        came.append(number)
        _stop_children()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_children() -> None:
    for child in multiprocessing.active_children():
        child.terminate()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """SIGINT waits until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_told: list[Any] = []
"""The queue in which a process that trains tells how far it is; empty in the first process."""


def _begin(messages: Any) -> None:
    """Start of a process that trains. The terminal's signals go to the first process only, which passes them on."""
    _told[:] = [messages]
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _interrupt(number: int, _: Any) -> None:
    raise Interrupted(number, "stopped before the first step")


def _remote(job: Job, threads: int, device: str) -> Outcome:
    try:
        signal.signal(signal.SIGTERM, _interrupt)  # until the training sets its own
        return _run(job, threads, device, _Sender(_told[0], str(job.folder)))
    except Interrupted as error:
        return Outcome(job.folder, str(error), error.code - 128)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


class _Sender:
    """The screen of a process: tells the first one."""

    def __init__(self, messages: Any, run: str) -> None:
        self.messages, self.run = messages, run

    def begin(self, label: str, seed: int, done: int, total: int) -> Callable[[Step, str], None]:
        self.messages.put(("begin", self.run, (label, seed, done, total)))
        last = 0.0

        def hear(step: Step, status: str) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _PAUSE or step.step == total:
                last = now
                self.messages.put(("step", self.run, (step, status)))

        return hear

    def warn(self, message: str) -> None:
        self.messages.put(("warn", self.run, (message,)))


@contextmanager
def _listening(messages: Any, screen: Screen) -> Iterator[None]:
    """Show what the processes tell while the block runs."""
    over = threading.Event()

    def listen() -> None:
        hearing: dict[str, Callable[[Step, str], None]] = {}
        while not (over.is_set() and messages.empty()):
            try:
                kind, run, content = messages.get(timeout=_PAUSE)
            except queue.Empty:
                continue
            if kind == "begin":
                hearing[run] = screen.begin(*content)
            elif kind == "step":
                hearing[run](*content)
            else:
                screen.warn(*content)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
