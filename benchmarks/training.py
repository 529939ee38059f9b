"""Whole training steps of the paper's networks, standard and multiplication-free: forward, backward, optimizer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import mulfree as mf
from benchmarks.harness import Case, Context, Rival, WrongResultError
from mulfree.models.deit import DeiT
from mulfree.models.resnet import PreActivationResNet
from mulfree.models.transformer import Transformer

PAD = 1
ERROR = 0.2
"""How far the losses of the two arithmetics may be apart, as a share."""


def training(context: Context) -> Iterator[Case]:
    """The Transformer of section 3.1 with 4096 tokens, DeiT-Tiny and ResNet-20."""
    yield _case(context, "IWSLT14 Transformer, 4096 tokens, AdamW", *_translation(context), target=1.25)
    yield _case(context, "DeiT-Tiny 224 px, batch 32, AdamW", *_images(context, "deit"), target=1 / 0.9)
    yield _case(context, "ResNet-20 32 px, batch 128, SGD", *_images(context, "resnet"), target=1 / 1.3, adamw=False)


def _translation(context: Context) -> tuple[nn.Module, nn.Module, tuple[Tensor, ...]]:
    """Sentences of 24 tokens, about the mean length of IWSLT14's, under dictionaries of its sizes."""
    sizes = (8848, 6632) if not context.quick else (50, 40)
    options: dict[str, Any] = {} if not context.quick else {"width": 16, "hidden": 16, "depth": 1}
    length, tokens = 24, context.size(4096, 48)
    source, target = (torch.randint(4, size, (tokens // length, length), generator=context.generator) for size in sizes)
    model = Transformer(*sizes, padding=PAD, **options)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)
    return model, criterion, (source, target.roll(1, 1), target)


def _images(context: Context, name: str) -> tuple[nn.Module, nn.Module, tuple[Tensor, ...]]:
    size, batch = (224, 32) if name == "deit" else (32, 128)
    if context.quick:
        size, batch = 32, 4
    model = DeiT(image_size=size, classes=1000) if name == "deit" else PreActivationResNet(20)
    images = context.normal(batch, 3, size, size)
    return model, nn.CrossEntropyLoss(), (images, torch.randint(10, (batch,), generator=context.generator))


def _case(
    context: Context,
    work: str,
    model: nn.Module,
    criterion: nn.Module,
    batch: tuple[Tensor, ...],
    *,
    target: float,
    adamw: bool = True,
) -> Case:
    """``target``: the ratio of speeds asked for."""
    free = mf.convert(copy.deepcopy(model)), mf.convert(copy.deepcopy(criterion))
    ours = _step(*free, batch, mf.optim.AdamW if adamw else mf.optim.SGD)
    theirs = _step(model, criterion, batch, torch.optim.AdamW if adamw else torch.optim.SGD)

    def verify() -> None:
        mine, other = ours(), theirs()
        if not abs(mine - other) < ERROR * other:
            raise WrongResultError(f"{work}: the loss is {mine:.4g} and {other:.4g} in ordinary arithmetic")
        with mf.audit() as audit:
            ours()
        if audit.multiplications:
            raise WrongResultError(f"{work}: {audit}")

    return Case(work, "training step", ours, (Rival("torch", theirs, target),), verify)


def _step(
    model: nn.Module, criterion: nn.Module, batch: tuple[Tensor, ...], optimizer: Callable[..., Any]
) -> Callable[[], float]:
    model.train()
    *inputs, target = batch
    steps = optimizer(model.parameters(), lr=1e-4)

    def run() -> float:
        scores = model(*inputs)
        loss = criterion(scores.flatten(0, -2), target.flatten())
        loss.backward()
        steps.step()
        steps.zero_grad()
        return float(loss.detach())

    return run
