"""How many operations a training step and an inference take, by phase: the audit's counts of live ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import get_args

import torch
from torch import Tensor, nn

from mulfree.audit import Work, audit
from mulfree.audit.report import Phase
from mulfree.hardware.tally import Tally, Traffic
from mulfree.train.errors import ConfigError
from mulfree.train.loop import Trainer


@dataclass(frozen=True, slots=True)
class Operations:
    """Scalar operations.

    Attributes:
        work: of this library's operations, and the multiplications in their place.
        additions: float additions of torch's own operations beside them.
        multiplications: those that are left, where the arithmetic replaces only some.
        traffic: numbers read and written.
    """

    work: Work = field(default_factory=Work)
    additions: int = 0
    multiplications: int = 0
    traffic: Traffic = field(default_factory=Traffic)

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.work + other.work,
            self.additions + other.additions,
            self.multiplications + other.multiplications,
            self.traffic + other.traffic,
        )

    @property
    def all_additions(self) -> int:
        """Float additions, by whichever operation."""
        return self.work.additions + self.additions


@dataclass(frozen=True)
class Counted:
    """Operations of something that ran.

    Attributes:
        phases: operations by phase, in the order of a step; no phase without operations.
        items: images or target tokens that it was done for.
    """

    phases: Mapping[Phase, Operations]
    items: int

    @property
    def total(self) -> Operations:
        return sum(self.phases.values(), Operations())


@contextmanager
def counting() -> Iterator[dict[Phase, Operations]]:
    """A block whose operations are counted; when it ends, they are in the mapping that it was given."""
    totals: dict[Phase, Operations] = {}
    with Tally() as tally, audit() as found:
        yield totals
    report = found.report
    by_phase = dict.fromkeys(get_args(Phase), Operations())
    for entry in report.work:
        by_phase[entry.phase] += Operations(work=entry.work)
    for finding in report.findings:
        by_phase[finding.phase] += Operations(multiplications=finding.multiplications)
    for phase, additions in tally.additions.items():
        by_phase[phase] += Operations(additions=additions)
    for phase, traffic in tally.traffic.items():
        by_phase[phase] += Operations(traffic=traffic)
    totals.update((phase, total) for phase, total in by_phase.items() if total != Operations())


def training_step(trainer: Trainer) -> Counted:
    """Operations of the trainer's next step, which is done: all micro-batches, clipping, optimizer and schedule.

    Raises:
        ConfigError: the training is at its end.
        NonFiniteLossError: from the step.
    """
    if trainer.step >= trainer.total_steps:
        raise ConfigError(f"trainer: none of its {trainer.total_steps} steps is left to be counted")
    phases: list[dict[Phase, Operations]] = []

    @contextmanager
    def watched(_: int) -> Iterator[None]:
        with counting() as found:
            yield
        phases.append(found)

    step = next(trainer.steps(watched))
    return Counted(phases[0], step.items)


class _NoLoss(nn.Module):
    """In place of a criterion: an inference ends with the scores."""

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        return torch.zeros(())


@torch.no_grad()
def inference(trainer: Trainer) -> Counted:
    """Operations of the model's forward pass in evaluation mode on the first training batch, without the loss."""
    batch = tuple(x.to(trainer.device) for x in trainer.task.batches(0, trainer.settings.seed)[0])
    training = trainer.model.training
    trainer.model.eval()
    try:
        with counting() as phases:
            trainer.task.loss(trainer.model, _NoLoss(), batch)
    finally:
        trainer.model.train(training)
    return Counted(phases, trainer.task.count(batch))
