"""Absolute values, maxima and minima: selections whose derivatives torch computes with multiplications.

Values and derivatives are torch's. Where several elements are the largest, the gradient is shared: between two operands
by halves, which is a step of the exponent, along dimensions by PAD with the number of ties.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mulfree.ops.checks import broadcast_shape, check_float, check_pair
from mulfree.ops.constants import constant
from mulfree.ops.elementwise import div, mul
from mulfree.ops.reductions import sum_to
from mulfree.ops.registry import Operation, define


def _halved(grad: Tensor) -> Tensor:
    result: Tensor = mul(grad, constant(0.5, grad.device), 0, False, False)
    return result


def _abs(x: Tensor) -> Tensor:
    check_float("abs", "input", x)
    return torch.abs(x)


def _abs_fake(x: Tensor) -> Tensor:
    check_float("abs", "input", x)
    return torch.empty_like(x)


def _abs_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])


def _abs_backward(ctx: Any, grad: Tensor) -> Tensor:
    (x,) = ctx.saved_tensors
    return torch.where(x < 0, -grad, grad).masked_fill(x == 0, 0.0)


absolute: Operation = define("abs(Tensor x) -> Tensor", _abs, _abs_fake, setup=_abs_setup, backward=_abs_backward)
"""The gradient at zero is zero, as in torch."""


Marks = tuple[Tensor, Tensor]
"""Where the gradient does not reach the first operand, and where it does not reach the second."""


def _define_pair(name: str, shares_ties: bool, losers: Callable[[Tensor, Tensor], Marks]) -> Operation:
    select = getattr(torch, name)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        check_pair(name, a, b)
        result: Tensor = select(a, b)
        return result

    def fake(a: Tensor, b: Tensor) -> Tensor:
        return a.new_empty(broadcast_shape(a.shape, b.shape), dtype=check_pair(name, a, b))

    def setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        if shares_ties:
            grad = torch.where(a == b, _halved(grad), grad)
        marks = losers(a, b)
        return tuple(
            sum_to(grad.masked_fill(mark, 0.0), x) if needed else None
            for x, mark, needed in zip((a, b), marks, ctx.needs_input_grad, strict=True)
        )

    return define(f"{name}(Tensor a, Tensor b) -> Tensor", kernel, fake, setup=setup, backward=backward)


def _either(first_wins: Tensor) -> Marks:
    return ~first_wins, first_wins


maximum = _define_pair("maximum", True, lambda a, b: (a < b, a > b))
minimum = _define_pair("minimum", True, lambda a, b: (a > b, a < b))
fmax = _define_pair("fmax", False, lambda a, b: _either((a >= b) | b.isnan()))
fmin = _define_pair("fmin", False, lambda a, b: _either((a <= b) | b.isnan()))


def _opened(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """``x`` with dimensions of size one in the place of ``dims``."""
    for dim in dims:
        x = x.unsqueeze(dim)
    return x


def _define_along_dims(name: str) -> Operation:
    select = getattr(torch, name)

    def kernel(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
        check_float(name, "input", x)
        result: Tensor = select(x, dims, keepdim)
        return result.contiguous()

    def fake(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
        check_float(name, "input", x)
        shape = [1 if i in dims else size for i, size in enumerate(x.shape) if keepdim or i not in dims]
        return x.new_empty(shape)

    def setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.dims, ctx.keepdim = inputs
        ctx.save_for_backward(x, output)

    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, result = ctx.saved_tensors
        grad, result = ((t if ctx.keepdim else _opened(t, ctx.dims)) for t in (grad, result))
        ties = x == result
        count = _opened(torch.count_nonzero(ties, ctx.dims), ctx.dims).float() if ctx.dims else ties.float()
        share = div(grad.float(), count, False, False).to(grad.dtype)
        return torch.where(ties, share, torch.zeros_like(share)), None, None

    return define(f"{name}(Tensor x, int[] dims, bool keepdim) -> Tensor", kernel, fake, setup=setup, backward=backward)


amax = _define_along_dims("amax")
amin = _define_along_dims("amin")
