"""Operations ``matmul`` and ``linear`` with both derivatives (spec 6)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mulfree.backends.select import for_tensor
from mulfree.ops.checks import are_plain, broadcast_shape, check_floats, check_mantissa_bits
from mulfree.ops.precision import backward_bits, forward_bits
from mulfree.ops.reductions import sum_dims, sum_to
from mulfree.ops.registry import Operation, define


def _matmul(a: Tensor, b: Tensor, mantissa_bits: int, offset: int, exact_a: bool, exact_b: bool) -> Tensor:
    _check_product(a, b, mantissa_bits)
    return for_tensor(a).matmul(a, b, None, forward_bits(mantissa_bits), offset)


def _check_product(a: Tensor, b: Tensor, mantissa_bits: int) -> torch.dtype:
    dtype = torch.float32 if are_plain(a, b) else check_floats("matmul", input=a, other=b)
    check_mantissa_bits("matmul", mantissa_bits)
    if a.dim() < 2 or b.dim() < 2 or a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            "matmul(): the last size of 'input' and the second to last of 'other' must be equal, "
            f"got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return dtype


def _matmul_fake(a: Tensor, b: Tensor, mantissa_bits: int, offset: int, exact_a: bool, exact_b: bool) -> Tensor:
    _check_product(a, b, mantissa_bits)
    batch = broadcast_shape(a.shape[:-2], b.shape[:-2])
    return a.new_empty((*batch, a.shape[-2], b.shape[-1]))


def _matmul_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, b, ctx.mantissa_bits, ctx.offset, ctx.exact_a, ctx.exact_b = inputs
    ctx.save_for_backward(a, b)


def _matmul_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    a, b = ctx.saved_tensors
    settings = (backward_bits(ctx.mantissa_bits), ctx.offset)
    by_a = by_b = None
    if ctx.needs_input_grad[0]:
        by_a = sum_to(_by_left(grad, a, b, *settings, ctx.exact_a), a)
    if ctx.needs_input_grad[1]:
        if b.dim() == 2 and a.dim() > 2:
            a, grad = _fold(a), _fold(grad)
        by_b = sum_to(_by_right(grad, a, b, *settings, ctx.exact_b), b)
    return by_a, by_b, None, None, None, None


def _fold(x: Tensor) -> Tensor:
    """All leading dimensions as rows."""
    return x.flatten(0, -2) if x.dim() > 1 else x.unsqueeze(0)


def _by_left(grad: Tensor, a: Tensor, b: Tensor, mantissa_bits: int, offset: int, exact: bool) -> Tensor:
    """Derivative of ``a @ b`` by ``a``; batch dimensions are those of the result."""
    result: Tensor
    if exact:
        result = matmul_grad(a, b, grad, mantissa_bits, offset)
    else:
        result = matmul(grad, b.mT, mantissa_bits, offset, False, False)
    return result


def _by_right(grad: Tensor, a: Tensor, b: Tensor, mantissa_bits: int, offset: int, exact: bool) -> Tensor:
    """Derivative of ``a @ b`` by ``b``, laid out in memory as ``b`` is."""
    if exact:
        by_transposed: Tensor = matmul_grad(b.mT, a.mT, grad.mT, mantissa_bits, offset)
        return by_transposed.mT
    if b.stride(-2) == 1 and b.stride(-1) != 1:
        by_transposed = matmul(grad.mT, a, mantissa_bits, offset, False, False)
        return by_transposed.mT
    result: Tensor = matmul(a.mT, grad, mantissa_bits, offset, False, False)
    return result


def _matmul_grad(p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int, offset: int) -> Tensor:
    _check_product(p, q, mantissa_bits)
    if not are_plain(p, grad):
        check_floats("matmul_grad", input=p, grad=grad)
    return for_tensor(p).matmul_grad(p, q, grad, backward_bits(mantissa_bits), offset)


def _matmul_grad_fake(p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int, offset: int) -> Tensor:
    _check_product(p, q, mantissa_bits)
    return p.new_empty((*grad.shape[:-1], p.shape[-1]))


matmul_grad: Operation = define(
    "matmul_grad(Tensor p, Tensor q, Tensor grad, int mantissa_bits, int offset) -> Tensor",
    _matmul_grad,
    _matmul_grad_fake,
)
"""Exact derivative of ``p @ q`` by ``p``; batch dimensions are those of ``grad``."""

matmul: Operation = define(
    "matmul(Tensor a, Tensor b, int mantissa_bits, int offset, bool exact_a, bool exact_b) -> Tensor",
    _matmul,
    _matmul_fake,
    setup=_matmul_setup,
    backward=_matmul_backward,
)
"""``(*batch, m, k) @ (*batch, k, n) -> (*batch, m, n)``, batch dimensions broadcast."""


def _linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, mantissa_bits: int, offset: int, exact_x: bool, exact_w: bool
) -> Tensor:
    _check_linear(x, weight, bias, mantissa_bits)
    rows = x if x.dim() == 2 else _fold(x)
    result = for_tensor(x).matmul(rows, weight.mT, bias, forward_bits(mantissa_bits), offset)
    return result if x.dim() == 2 else result.view(*x.shape[:-1], weight.shape[0])


def _check_linear(x: Tensor, weight: Tensor, bias: Tensor | None, mantissa_bits: int) -> torch.dtype:
    plain = are_plain(x, weight, bias)
    dtype = torch.float32 if plain else check_floats("linear", input=x, weight=weight, bias=bias)
    check_mantissa_bits("linear", mantissa_bits)
    if weight.dim() != 2 or x.dim() == 0 or x.shape[-1] != weight.shape[1]:
        raise RuntimeError(
            "linear(): 'weight' must be (out_features, in_features) with in_features the last size of 'input', "
            f"got weight {tuple(weight.shape)} and input {tuple(x.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise RuntimeError(f"linear(): 'bias' must be ({weight.shape[0]},), got {tuple(bias.shape)}")
    return dtype


def _linear_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None, mantissa_bits: int, offset: int, exact_x: bool, exact_w: bool
) -> Tensor:
    _check_linear(x, weight, bias, mantissa_bits)
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


def _linear_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, ctx.mantissa_bits, ctx.offset, ctx.exact_x, ctx.exact_w = inputs
    ctx.save_for_backward(x, weight)


def _linear_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
    settings = (backward_bits(ctx.mantissa_bits), ctx.offset)
    rows = grad if grad.dim() == 2 else _fold(grad)
    inputs = x if x.dim() == 2 else _fold(x)
    by_x = by_weight = by_bias = None
    if needs_x:
        if ctx.exact_x:
            by_x = matmul_grad(inputs, weight.mT, rows, *settings)
        else:
            by_x = matmul(rows, weight, *settings, False, False)
        by_x = by_x if x.dim() == 2 else by_x.view(x.shape)
    if needs_weight:
        if ctx.exact_w:
            by_weight = matmul_grad(weight, inputs.mT, rows.mT, *settings)
        else:
            by_weight = matmul(rows.mT, inputs, *settings, False, False)
    if needs_bias:
        by_bias = sum_dims(rows, (0,), False)
    return by_x, by_weight, by_bias, None, None, None, None


linear: Operation = define(
    "linear(Tensor x, Tensor weight, Tensor? bias, int mantissa_bits, int offset, bool exact_x, bool exact_w) "
    "-> Tensor",
    _linear,
    _linear_fake,
    setup=_linear_setup,
    backward=_linear_backward,
)
"""``x @ weight.T + bias``: ``(*batch, in), (out, in), (out,) -> (*batch, out)``."""
