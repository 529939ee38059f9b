"""Operands of a training's products, for energies: dot products of matrix products, drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mulfree.hardware.switching.operands import LENGTH, TERMS, Stream
from mulfree.train.errors import ConfigError
from mulfree.train.loop import Step, Trainer

DRAWN: Final = 256
"""Dot products kept of each call."""


@dataclass(frozen=True)
class _Call:
    """What is kept of a matrix product.

    Attributes:
        products: how many there are in all.
        left, right: (drawn, terms); the first ``LENGTH`` terms at most.
    """

    products: int
    left: Tensor
    right: Tensor


class Sampler(TorchDispatchMode):
    """Keeps dot products of all linear layers and matrix products, forward and backward, inside the ``with`` block.

    Products within fused attention, convolutions and elementwise operations are left out.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls: list[_Call] = []
        self._random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(func)
        if name.startswith("mulfree.linear.") and args[0].numel() and args[1].numel():
            self._keep(args[0].reshape(-1, args[0].shape[-1]), args[1], batch=())
        elif name.startswith("mulfree.matmul.") and args[0].numel() and args[1].numel():
            left, right = args[0], args[1].mT
            batch = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
            self._keep(left.expand(*batch, *left.shape[-2:]), right.expand(*batch, *right.shape[-2:]), batch)
        return result

    def _keep(self, left: Tensor, right: Tensor, batch: tuple[int, ...]) -> None:
        """Rows of ``left`` (batch, m, k) with rows of ``right`` (batch, n, k)."""
        sizes = [*batch, left.shape[-2], right.shape[-2]]
        *places, row, column = (torch.randint(size, (DRAWN,), generator=self._random) for size in sizes)
        terms = min(left.shape[-1], LENGTH)
        start = int(torch.randint(left.shape[-1] - terms + 1, (), generator=self._random))
        chosen = [part[..., start : start + terms].detach().float() for part in (left, right)]
        products = int(np.prod(sizes)) * left.shape[-1]
        self._calls.append(_Call(products, chosen[0][(*places, row)], chosen[1][(*places, column)]))

    def stream(self) -> Stream:
        """Dot products one after another, drawn so that each call has its share of the products.

        Raises:
            ConfigError: there was no matrix product.
        """
        if not self._calls:
            raise ConfigError("no linear layer or matrix product of this library ran, so there are no operands")
        terms = [call.products / call.left.shape[1] for call in self._calls]  # a draw takes so many terms
        weights = torch.tensor(terms, dtype=torch.float64)
        drawn: list[tuple[Tensor, Tensor, Tensor]] = []
        while sum(len(left) for left, _, _ in drawn) < TERMS:
            call = self._calls[int(torch.multinomial(weights, 1, generator=self._random))]
            place = int(torch.randint(DRAWN, (), generator=self._random))
            left, right = call.left[place].cpu(), call.right[place].cpu()
            drawn.append((left, right, torch.arange(len(left)) == 0))
        a, b, first = (torch.cat(parts)[:TERMS].contiguous().numpy() for parts in zip(*drawn, strict=True))
        return Stream(a, b, first)


def training_operands(trainer: Trainer, steps: int, hear: Callable[[Step], None], seed: int = 0) -> Stream:
    """Operands of the step after ``steps`` steps of training, which are done.

    Raises:
        ConfigError: the training has not so many steps, or no matrix products.
        NonFiniteLossError: from a step.
    """
    if trainer.total_steps <= steps:
        raise ConfigError(f"the training has {trainer.total_steps} steps, expected more than {steps}")
    sampler = Sampler(seed)

    @contextmanager
    def watched(step: int) -> Iterator[None]:
        with sampler if step == steps + 1 else nullcontext():
            yield

    for done in trainer.steps(watched):
        hear(done)
        if done.step > steps:
            break
    return sampler.stream()
