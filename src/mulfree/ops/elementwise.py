"""Operations ``mul`` and ``div`` with both derivatives (spec 2, 4).

Half-precision operands are widened exactly, computed as float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.ops.again import differentiate, save_all
from mulfree.ops.checks import are_plain, broadcast_shape, check_float, check_pair
from mulfree.ops.reductions import sum_to
from mulfree.ops.registry import Operation, define


def _mul(a: Tensor, b: Tensor, offset: int, exact_a: bool, exact_b: bool) -> Tensor:
    if are_plain(a, b):
        return for_tensor(a).mul(a, b, offset)
    dtype = check_pair("mul", a, b)
    return round_to(for_tensor(a).mul(a.float(), b.float(), offset), dtype)


def _mul_fake(a: Tensor, b: Tensor, offset: int, exact_a: bool, exact_b: bool) -> Tensor:
    return _broadcast_empty(a, b, check_pair("mul", a, b))


def _broadcast_empty(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    return a.new_empty(broadcast_shape(a.shape, b.shape), dtype=dtype)


def _mul_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, b, ctx.offset, ctx.exact_a, ctx.exact_b = inputs
    ctx.save_for_backward(a, b)


def _mul_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    a, b = ctx.saved_tensors
    by_a = by_b = None
    if ctx.needs_input_grad[0]:
        by_a = sum_to(_mul_by(grad, a, b, ctx.offset, ctx.exact_a), a)
    if ctx.needs_input_grad[1]:
        by_b = sum_to(_mul_by(grad, b, a, ctx.offset, ctx.exact_b), b)
    return by_a, by_b, None, None, None


def _mul_by(grad: Tensor, a: Tensor, b: Tensor, offset: int, exact: bool) -> Tensor:
    """Derivative of mul(a, b) by ``a``, of the broadcast shape."""
    result: Tensor = mul_grad(grad, a, b, offset) if exact else mul(b, grad, offset, False, False)
    return result


def _mul_grad(grad: Tensor, a: Tensor, b: Tensor, offset: int) -> Tensor:
    backend = for_tensor(grad)
    if are_plain(grad, a, b):
        return backend.mul_grad(grad, a, b, offset)
    dtype = _check_grad("mul_grad", grad, a, b)
    return round_to(backend.mul_grad(grad.float(), a.float(), b.float(), offset), dtype)


def _check_grad(operation: str, grad: Tensor, a: Tensor, b: Tensor) -> torch.dtype:
    check_pair(operation, a, b)
    return check_float(operation, "grad", grad)


def _mul_grad_fake(grad: Tensor, a: Tensor, b: Tensor, offset: int) -> Tensor:
    return grad.new_empty(grad.shape, dtype=_check_grad("mul_grad", grad, a, b))


def _slope_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, a, b, *ctx.rest = inputs
    ctx.save_for_backward(a, b)


def _slope_backward(itself: Callable[[], Operation]) -> Callable[..., tuple[Tensor | None, ...]]:
    """An exact derivative scales the gradient by a power of two; its own derivative is that scaling again.

    The slope is constant on its segment: the derivative by the operands is zero.
    """

    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return itself()(grad, *ctx.saved_tensors, *ctx.rest), None, None, *(None for _ in ctx.rest)

    return backward


mul_grad: Operation = define(
    "mul_grad(Tensor grad, Tensor a, Tensor b, int offset) -> Tensor",
    _mul_grad,
    _mul_grad_fake,
    setup=_slope_setup,
    backward=_slope_backward(lambda: mul_grad),
)
"""Exact derivative of ``mul`` by ``a``, of the broadcast shape."""

mul: Operation = define(
    "mul(Tensor a, Tensor b, int offset, bool exact_a, bool exact_b) -> Tensor",
    _mul,
    _mul_fake,
    setup=_mul_setup,
    backward=_mul_backward,
)
"""PAM; ``offset`` is the compensation."""


def _div(a: Tensor, b: Tensor, exact_a: bool, exact_b: bool) -> Tensor:
    if are_plain(a, b):
        return for_tensor(a).div(a, b)
    dtype = check_pair("div", a, b)
    return round_to(for_tensor(a).div(a.float(), b.float()), dtype)


def _div_fake(a: Tensor, b: Tensor, exact_a: bool, exact_b: bool) -> Tensor:
    return _broadcast_empty(a, b, check_pair("div", a, b))


def _div_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, b, ctx.exact_a, ctx.exact_b = inputs
    ctx.save_for_backward(a, b)


def _div_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    a, b = ctx.saved_tensors
    by_a = by_b = None
    if ctx.needs_input_grad[0]:
        by_a = div_grad_numerator(grad, a, b) if ctx.exact_a else div(grad, b, False, False)
        by_a = sum_to(by_a, a)
    if ctx.needs_input_grad[1]:
        by_b = sum_to(div_grad_denominator(grad, a, b, ctx.exact_b), b)
    return by_a, by_b, None, None


def _div_grad_numerator(grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    dtype = _check_grad("div_grad_numerator", grad, a, b)
    return round_to(for_tensor(grad).div_grad_numerator(grad.float(), a.float(), b.float()), dtype)


def _div_grad_numerator_fake(grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return grad.new_empty(grad.shape, dtype=_check_grad("div_grad_numerator", grad, a, b))


def _div_grad_denominator(grad: Tensor, a: Tensor, b: Tensor, exact: bool) -> Tensor:
    dtype = _check_grad("div_grad_denominator", grad, a, b)
    return round_to(for_tensor(grad).div_grad_denominator(grad.float(), a.float(), b.float(), exact), dtype)


def _div_grad_denominator_fake(grad: Tensor, a: Tensor, b: Tensor, exact: bool) -> Tensor:
    return grad.new_empty(grad.shape, dtype=_check_grad("div_grad_denominator", grad, a, b))


def _div_grad_denominator_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    exact, (numerator, denominator) = ctx.rest[0], ctx.saved_tensors[1:]
    if exact:
        return div_grad_denominator(grad, numerator, denominator, True), None, None, None

    def formula(delta: Tensor, a: Tensor, b: Tensor) -> Tensor:
        result: Tensor = div(mul(a, delta, 0, False, False), mul(b, b, 0, False, False), False, False)
        return -result

    return *differentiate(formula, ctx, grad), None


div_grad_numerator: Operation = define(
    "div_grad_numerator(Tensor grad, Tensor a, Tensor b) -> Tensor",
    _div_grad_numerator,
    _div_grad_numerator_fake,
    setup=_slope_setup,
    backward=_slope_backward(lambda: div_grad_numerator),
)
"""Exact derivative of ``div`` by the numerator, of the broadcast shape."""

div_grad_denominator: Operation = define(
    "div_grad_denominator(Tensor grad, Tensor a, Tensor b, bool exact) -> Tensor",
    _div_grad_denominator,
    _div_grad_denominator_fake,
    setup=save_all,
    backward=_div_grad_denominator_backward,
)
"""Either derivative of ``div`` by the denominator, of the broadcast shape."""

div: Operation = define(
    "div(Tensor a, Tensor b, bool exact_a, bool exact_b) -> Tensor",
    _div,
    _div_fake,
    setup=_div_setup,
    backward=_div_backward,
)
"""PAD."""
