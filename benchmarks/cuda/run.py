"""Verify and time: from work to rows of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from benchmarks.cuda import convolutions, pointwise, products
from benchmarks.cuda.report import Row
from benchmarks.cuda.timing import Speed, Timer, time_in_turns
from benchmarks.cuda.training import Step
from benchmarks.cuda.work import Work, moved, verify
from benchmarks.harness import Budget, Context
from mulfree.backends.contract import Backend

TRAINING = "training"
GROUPS: dict[str, Callable[[Context], Iterator[Work]]] = {
    "products": products.products,
    "slopes": products.slopes,
    "convolutions": convolutions.convolutions,
    "elementwise": pointwise.elementwise,
    "rows": pointwise.rows,
    "channels": pointwise.channels,
    "optimizer": pointwise.optimizer,
}


def _limit(work: Work, speed: Speed) -> tuple[str, float | None]:
    """What bounds it, and the least seconds of a call."""
    if work.products:
        rate = speed.products(work.instructions)
        return ("", None) if rate is None else ("issue", work.products / rate)
    return "copy", work.bytes / speed.copy


def evaluate(
    work: Work, backend: Backend, device: torch.device, law: Backend, timer: Timer, budget: Budget, speed: Speed
) -> Row:
    """
    Raises:
        WrongResultError: the result is not the law's; nothing is timed then.
    """
    verify(work, backend, device, law)
    operands = moved(work.operands, device)
    ours, theirs = time_in_turns([work.ours(backend, operands), work.theirs(operands)], timer, budget)
    limit, least = _limit(work, speed)
    return Row(
        group=work.group,
        work=work.name,
        data=work.data,
        rival=work.rival,
        ours=ours.median,
        theirs=theirs.median,
        limit=limit,
        share=None if least is None else least / ours.median,
        samples=len(ours.samples),
    )


def evaluate_step(step: Step, timer: Timer, budget: Budget) -> Row:
    """
    Raises:
        WrongResultError: the step is not right; nothing is timed then.
    """
    step.verify()
    ours, theirs = time_in_turns([step.ours, step.theirs], timer, budget)
    return Row(TRAINING, step.name, "training step", "torch", ours.median, theirs.median, "", None, len(ours.samples))
