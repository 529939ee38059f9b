"""The identity whose gradient is divided (PAD): how a lookup weighs gradients by frequency."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.ops.checks import check_float
from mulfree.ops.elementwise import div
from mulfree.ops.registry import define


def _divide_gradient(x: Tensor, divisor: Tensor) -> Tensor:
    check_float("divide_gradient", "input", x)
    return x.clone()


def _divide_gradient_fake(x: Tensor, divisor: Tensor) -> Tensor:
    check_float("divide_gradient", "input", x)
    return x.clone()


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    (divisor,) = ctx.saved_tensors
    return round_to(div(grad.float(), divisor, False, False), grad.dtype), None


divide_gradient = define(
    "divide_gradient(Tensor x, Tensor divisor) -> Tensor",
    _divide_gradient,
    _divide_gradient_fake,
    setup=_setup,
    backward=_backward,
)
"""``x`` itself; its gradient is ``div(grad, divisor)``. ``divisor``, float32, broadcasts to ``x`` and is a constant."""
