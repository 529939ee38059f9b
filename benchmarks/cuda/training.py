"""Whole training steps on a device: the networks of ``benchmarks.training``, larger batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import mulfree as mf
from benchmarks import training
from benchmarks.harness import Context, WrongResultError, require_same_bits

IMAGES = 256
CHECKED = 4
"""Sentences or images whose loss is compared with that of the processor, bit by bit."""


@dataclass(frozen=True)
class Step:
    """Training steps with and without multiplications on one device."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    verify: Callable[[], None]


def steps(context: Context, device: torch.device) -> Iterator[Step]:
    """The IWSLT14 recipe's Transformer with 4096 tokens and DeiT-Tiny with 256 images."""
    yield _step("IWSLT14 Transformer, 4096 tokens, AdamW", device, *training._translation(context))
    model, criterion, batch = training._images(context, "deit")
    count = context.size(IMAGES, CHECKED)
    batch = tuple(torch.cat([x] * -(-count // len(x)))[:count] for x in batch)
    yield _step(f"DeiT-Tiny, {count} images, AdamW", device, model, criterion, batch)


def _loss(model: nn.Module, criterion: nn.Module, batch: tuple[Tensor, ...], device: torch.device) -> Tensor:
    """Of the first few of a batch, without dropout."""
    *inputs, target = (x[:CHECKED].to(device) for x in batch)
    model, criterion = copy.deepcopy(model).to(device).eval(), copy.deepcopy(criterion).to(device)
    with torch.no_grad():
        loss = criterion(model(*inputs).flatten(0, -2), target.flatten())
    assert isinstance(loss, Tensor)
    return loss.cpu()


def _step(name: str, device: torch.device, model: nn.Module, criterion: nn.Module, batch: tuple[Tensor, ...]) -> Step:
    free = mf.convert(copy.deepcopy(model)), mf.convert(copy.deepcopy(criterion))
    there = tuple(x.to(device) for x in batch)

    def prepared(
        model: nn.Module, criterion: nn.Module, optimizer: Callable[..., torch.optim.Optimizer]
    ) -> Callable[[], float]:
        return training._step(copy.deepcopy(model).to(device), criterion.to(device), there, optimizer)

    ours = prepared(free[0], copy.deepcopy(free[1]), mf.optim.AdamW)
    theirs = prepared(model, copy.deepcopy(criterion), torch.optim.AdamW)

    def verify() -> None:
        require_same_bits(f"{name}, loss", _loss(*free, batch, device), _loss(*free, batch, torch.device("cpu")))
        mine, other = ours(), theirs()
        if not abs(mine - other) < training.ERROR * other:
            raise WrongResultError(f"{name}: the loss is {mine:.4g} and {other:.4g} in ordinary arithmetic")
        with mf.audit() as audit:
            ours()
        if audit.multiplications:
            raise WrongResultError(f"{name}: {audit}")

    return Step(name, ours, theirs, verify)
