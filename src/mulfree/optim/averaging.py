"""Averages of gradients and of weights in PA arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.functional._explained import explained
from mulfree.numerics import fixed_point, scalar
from mulfree.numerics.number import PA
from mulfree.ops.optimizers import moving_average_

MultiAverage = Callable[[list[Tensor], list[Tensor], Tensor | int], None]
"""What ``torch.optim.swa_utils.AveragedModel`` takes as ``multi_avg_fn``."""


@explained
@torch.no_grad()
def average_gradients(parameters: Tensor | Iterable[Tensor], count: int) -> None:
    """Divide every gradient by ``count`` in place (PAD, exact for powers of two), after that many backward passes.

    Raises:
        ValueError: ``count`` is below 1.
        RuntimeError: a gradient is sparse.
    """
    if count < 1:
        raise ValueError(f"average_gradients(): count must be at least 1, got {count}")
    for parameter in [parameters] if isinstance(parameters, Tensor) else parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.layout is not torch.strided:
            raise RuntimeError("average_gradients(): sparse gradients are not supported")
        parameter.grad.copy_(MF.div(parameter.grad, float(count)))


@explained
def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """``torch.optim.swa_utils.get_ema_multi_avg_fn``: averages move by ``1 - decay`` of their distance to the weights.

    For ``torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=...)``; tensors of float32.

    Raises:
        ValueError: ``decay`` is not within [0, 1].
    """
    share = _share(decay)

    @torch.no_grad()
    def ema_update(averages: list[Tensor], params: list[Tensor], _: Tensor | int) -> None:
        moving_average_(list(averages), list(params), share)

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverage:
    """``torch.optim.swa_utils.get_swa_multi_avg_fn``: equal weights.

    An average of n weights moves by 1 / (n + 1), rounded to float32, of its distance to the next.
    """

    @torch.no_grad()
    def swa_update(averages: list[Tensor], params: list[Tensor], num_averaged: Tensor | int) -> None:
        share = fixed_point.fraction(1, int(num_averaged) + 1)
        moving_average_(list(averages), list(params), scalar.from_fixed_point(share, fixed_point.BITS))

    return swa_update


def _share(decay: float) -> int:
    if not hasattr(decay, "__float__"):
        raise TypeError(f"decay must be a number, got {decay!r}")
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay must be between 0 and 1, got {decay}")
    return (1 - PA(decay)).word


class ExponentialMovingAverage:
    """Averages of weights that are updated after every step: ``average += mul(1 - decay, param - average)``.

    Moving by a share of the distance has the weights as its fixed point, which the form
    ``mul(decay, average) + mul(1 - decay, param)`` has not in PA arithmetic.

    Args:
        parameters: float32 parameters; their values are the first averages.
        decay: within [0, 1], rounded to float32.

    Raises:
        ValueError: ``decay`` is out of range.
        TypeError: ``decay`` is no number, or a parameter is not float32.

    Example:
        >>> average = ExponentialMovingAverage(model.parameters(), decay=0.999)
        >>> for batch in batches:
        ...     train_step(model, batch)
        ...     average.update()
        >>> with average.applied():
        ...     evaluate(model)
    """

    def __init__(self, parameters: Iterable[Tensor], decay: float = 0.999) -> None:
        self._share = _share(decay)
        self.decay = decay
        self.parameters = list(parameters)
        for p in self.parameters:
            if p.dtype is not torch.float32:
                raise TypeError(
                    f"ExponentialMovingAverage: parameters must be float32, got {p.dtype} of shape {tuple(p.shape)}"
                )
        self.averages = [p.detach().clone() for p in self.parameters]
        self.updates = 0
        self._stored: list[Tensor] | None = None

    @torch.no_grad()
    def update(self) -> None:
        """Move every average towards its parameter.

        Raises:
            RuntimeError: the averages are applied, so that the parameters are averages themselves.
        """
        if self._stored is not None:
            raise RuntimeError("ExponentialMovingAverage: restore() the parameters before update()")
        moving_average_(self.averages, [p.detach() for p in self.parameters], self._share)
        self.updates += 1

    @torch.no_grad()
    def apply(self) -> None:
        """Put the averages in the place of the parameters, whose values are kept for ``restore``.

        Raises:
            RuntimeError: they are applied already.
        """
        if self._stored is not None:
            raise RuntimeError("ExponentialMovingAverage: the averages are applied already")
        self._stored = [p.detach().clone() for p in self.parameters]
        for p, average in zip(self.parameters, self.averages, strict=True):
            p.copy_(average)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the parameters back.

        Raises:
            RuntimeError: the averages are not applied.
        """
        if self._stored is None:
            raise RuntimeError("ExponentialMovingAverage: apply() comes before restore()")
        for p, stored in zip(self.parameters, self._stored, strict=True):
            p.copy_(stored)
        self._stored = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averages in the place of the parameters inside a ``with`` block."""
        self.apply()
        try:
            yield
        finally:
            self.restore()

    def state_dict(self) -> dict[str, Any]:
        """Decay, number of updates and averages; the tensors are those in use, as in an optimizer's state dict."""
        return {"decay": self.decay, "updates": self.updates, "averages": list(self.averages)}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state made by ``state_dict``.

        Raises:
            ValueError: the averages do not have the shapes of the parameters.
        """
        averages = state_dict["averages"]
        expected, got = ([tuple(x.shape) for x in tensors] for tensors in (self.parameters, averages))
        if got != expected:
            raise ValueError(f"ExponentialMovingAverage: state must hold averages of shapes {expected}, got {got}")
        self._share, self.decay, self.updates = _share(state_dict["decay"]), state_dict["decay"], state_dict["updates"]
        for own, loaded in zip(self.averages, averages, strict=True):
            own.copy_(loaded)
