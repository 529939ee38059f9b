"""The training loop: steps over micro-batches, from any position.

What a step computes is a function of the weights, the optimizer's state and the step's number: batches are read by
their index, and torch's generators are seeded before each micro-batch by (seed, step, its number in the step). So a run
that was interrupted goes on as if it had not been, and how micro-batches are dealt to processes does not matter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

from mulfree.train.arithmetic import Arithmetic
from mulfree.train.checkpoints import Checkpoint, capture, restore
from mulfree.train.errors import ConfigError, NonFiniteLossError
from mulfree.train.optimization import clip, make_optimizer, make_schedule
from mulfree.train.processes import Processes
from mulfree.train.seeds import seed_all
from mulfree.train.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from mulfree.train.task import Batch, Batches, Task

_AHEAD = 2
"""Batches that each worker process reads ahead."""


@dataclass(frozen=True)
class Step:
    """Measurements of one step.

    Attributes:
        step: number of steps done, this one included.
        loss: mean over the step's items.
        items: images or target tokens of the step, over all processes.
        lr: learning rate of the step.
        seconds: duration.
    """

    step: int
    loss: float
    items: int
    lr: float
    seconds: float


class _Readable(Dataset[Batch]):
    """``Batches`` as torch's loader wants them."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]


class Trainer:
    """One training: model, criterion, optimizer and schedule of a task in one arithmetic.

    Attributes:
        model: converted; weights as trained so far.
        step: steps done.
        total_steps, steps_per_epoch: lengths.

    Raises:
        ConfigError: an epoch has fewer batches than a step takes.
    """

    def __init__(
        self,
        task: Task,
        arithmetic: Arithmetic,
        optimizer: OptimizerSettings,
        schedule: ScheduleSettings,
        training: TrainingSettings,
        device: torch.device,
        processes: Processes = Processes(),  # noqa: B008 (frozen)
    ) -> None:
        self.task, self.arithmetic, self.settings = task, arithmetic, training
        self.clip_norm, self.device, self.processes = optimizer.clip_norm, device, processes
        self.step = 0
        self.micro_batches = training.accumulate * processes.size
        self._epoch, self._batches = 0, task.batches(0, training.seed)
        self.steps_per_epoch = len(self._batches) // self.micro_batches
        if self.steps_per_epoch == 0:
            raise ConfigError(
                f"training: a step takes {self.micro_batches} batches, but an epoch has only {len(self._batches)}"
            )
        self.total_steps = training.steps or training.epochs * self.steps_per_epoch
        torch.manual_seed(training.seed)
        self.model = arithmetic.converted(task.model().to(device))
        self.criterion = arithmetic.converted(task.criterion().to(device))
        self._shared = processes.shared(self.model)
        self.optimizer: Optimizer = make_optimizer(self.model, optimizer, arithmetic)
        warmup = schedule.warmup_steps or min(schedule.warmup_epochs * self.steps_per_epoch, self.total_steps - 1)
        self.schedule: LRScheduler = make_schedule(self.optimizer, schedule, arithmetic, warmup, self.total_steps)

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.step // self.steps_per_epoch

    def checkpoint(self, progress: Any) -> Checkpoint:
        return capture(self.step, self.model, self.optimizer, self.schedule, progress)

    def resume(self, checkpoint: Checkpoint) -> Any:
        """Go on from a checkpoint; returns what ``checkpoint`` was given."""
        self.step = checkpoint.step
        return restore(checkpoint, self.model, self.optimizer, self.schedule)

    def steps(self, audits: Any) -> Iterator[Step]:
        """Train to the end, yielding after each step. ``audits(step)`` is a context for step number ``step``.

        Raises:
            NonFiniteLossError: the loss is infinite or not a number; that step changes nothing.
        """
        while self.step < self.total_steps:
            for micro in self._micro_batches():
                yield self._one(micro, audits(self.step + 1))

    def _micro_batches(self) -> Iterator[list[Batch]]:
        """This process's batches of each step, to the end of the epoch or of the training."""
        epoch, first = divmod(self.step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self.task.batches(epoch, self.settings.seed)
        last = min(self.steps_per_epoch, self.total_steps - epoch * self.steps_per_epoch)
        own = range(self.processes.rank + first * self.micro_batches, last * self.micro_batches, self.processes.size)
        workers = self.settings.workers
        loader = DataLoader(
            _Readable(self._batches),
            batch_size=None,
            sampler=own,
            num_workers=workers,
            prefetch_factor=_AHEAD if workers else None,
            generator=torch.Generator(),  # workers take their seeds from it, not from the one that dropout reads
        )
        batches = iter(loader)
        for _ in range(first, last):
            yield [next(batches) for _ in range(self.settings.accumulate)]

    def _one(self, micro: list[Batch], audit: AbstractContextManager[Any]) -> Step:
        start = time.perf_counter()
        items = int(self.processes.total(sum(self.task.count(batch) for batch in micro)))
        lr = float(self.optimizer.param_groups[0]["lr"])
        with audit:
            total = self._backward(micro, items)
            loss = self.processes.total(total) / max(items, 1)
            if not math.isfinite(loss):
                raise NonFiniteLossError(
                    f"the loss became {loss} in step {self.step + 1} (epoch {self.epoch + 1}); try a lower learning "
                    "rate, a longer warm-up or optimizer.clip_norm"
                )
            clip(self.model.parameters(), self.clip_norm, self.arithmetic)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
        self.step += 1
        return Step(self.step, loss, items, lr, time.perf_counter() - start)

    def _backward(self, micro: list[Batch], items: int) -> float:
        """Gradients of the mean loss over the step; returns this process's sum of losses."""
        share = self.arithmetic.reciprocal(items, self.device)
        total = 0.0
        for place, batch in enumerate(micro):
            seed_all(self.settings.seed, self.step, place * self.processes.size + self.processes.rank)
            last = place == len(micro) - 1
            with nullcontext() if last else self.processes.without_exchange(self._shared):
                loss = self.task.loss(self._shared, self.criterion, tuple(x.to(self.device) for x in batch))
                loss.backward(share)
            total += loss.item()
        return total

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The task's quick measurements; torch's generators are left as a function of the step."""
        return self._measured(self.task.validate)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """The task's final measurements."""
        return self._measured(self.task.evaluate)

    def _measured(self, measure: Any) -> dict[str, float]:
        self.model.eval()
        seed_all(self.settings.seed, self.step, -1)
        found = dict(measure(self.model))
        self.model.train()
        return found


def parameters_of(model: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
