"""The training loop of one network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from mulfree.audit import Audit
from mulfree.data import Split, batches
from mulfree.train.networks import Network


class NonFiniteLossError(ArithmeticError):
    """Training has diverged: the loss is infinite or not a number."""


@dataclass(frozen=True)
class Epoch:
    """Measurements of one epoch.

    Attributes:
        epoch: number, from 1.
        step: training steps so far.
        learning_rate: of the last step.
        loss: mean over the epoch's steps.
        accuracy: on the held-out images after the epoch, in [0, 1].
        seconds: duration of the training steps alone.
        milliseconds: duration of each step, without those that were audited.
    """

    epoch: int
    step: int
    learning_rate: float
    loss: float
    accuracy: float
    seconds: float
    milliseconds: tuple[float, ...]


def train_step(network: Network, images: Tensor, labels: Tensor) -> float:
    """One step: forward pass, loss, backward pass, optimizer, schedule. Returns the loss."""
    network.optimizer.zero_grad()
    loss = network.loss(network.model(images), labels)
    loss.backward()
    network.optimizer.step()
    network.schedule.step()
    return loss.item()


def train(
    network: Network,
    *,
    data: Split,
    held_out: Split,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
    audit: Audit | None = None,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[Epoch]:
    """Train ``network``, yielding the measurements of each epoch as it ends.

    ``audit`` watches the very first step. ``on_step`` is called after every step.

    Raises:
        NonFiniteLossError: the loss is no longer finite.
    """
    step = 0
    for epoch in range(1, epochs + 1):
        network.model.train()
        losses, durations, seconds = [], [], 0.0
        for images, labels in batches(data, batch_size, generator):
            learning_rate = float(network.optimizer.param_groups[0]["lr"])
            audited = audit is not None and step == 0
            start = time.perf_counter()
            with audit if audit is not None and audited else nullcontext():
                loss = train_step(network, images, labels)
            duration = time.perf_counter() - start
            step += 1
            if not math.isfinite(loss):
                raise NonFiniteLossError(
                    f"the loss of the {network.label} network became {loss} in epoch {epoch}, step {step}; "
                    "try a lower learning rate"
                )
            losses.append(loss)
            seconds += duration
            if not audited:
                durations.append(duration * 1e3)
            on_step()
        yield Epoch(
            epoch=epoch,
            step=step,
            learning_rate=learning_rate,
            loss=math.fsum(losses) / len(losses),
            accuracy=accuracy(network, held_out, batch_size),
            seconds=seconds,
            milliseconds=tuple(durations),
        )


@torch.no_grad()
def accuracy(network: Network, split: Split, batch_size: int) -> float:
    """Share of the images of ``split`` that the network classifies correctly, in [0, 1]."""
    network.model.eval()
    correct = 0
    for images, labels in batches(split, min(batch_size, len(split))):
        correct += int((network.model(images).argmax(dim=1) == labels).sum())
    return correct / len(split)
