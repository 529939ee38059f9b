"""Operations of one tensor: powers, logarithms, roots and activations, with both derivatives (spec 3, 4, 7).

Half-precision operands are widened exactly, computed as float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.numerics import formats, scalar
from mulfree.ops.again import differentiate, save_all
from mulfree.ops.checks import are_plain, check_float, check_floats
from mulfree.ops.constants import constant
from mulfree.ops.elementwise import div, mul
from mulfree.ops.registry import define

_FLOAT = torch.float32
_LN2, _LOG2E = scalar.value(formats.LN2), scalar.value(formats.LOG2E)


def _mul(a: Tensor, b: Tensor) -> Tensor:
    result: Tensor = mul(a, b, 0, False, False)
    return result


def _div(a: Tensor, b: Tensor) -> Tensor:
    result: Tensor = div(a, b, False, False)
    return result


def _exp2_grad(grad: Tensor, x: Tensor) -> Tensor:
    return _mul(_mul(exp2(x, False), constant(_LN2, x.device)), grad)


def _log2_grad(grad: Tensor, x: Tensor) -> Tensor:
    return _div(grad, _mul(x, constant(_LN2, x.device)))


def _exp_grad(grad: Tensor, x: Tensor) -> Tensor:
    log2e = constant(_LOG2E, x.device)
    return _mul(log2e, _exp2_grad(grad, _mul(x, log2e)))


def _log_grad(grad: Tensor, x: Tensor) -> Tensor:
    return _log2_grad(_div(grad, constant(_LOG2E, x.device)), x)


def _sqrt_grad(grad: Tensor, x: Tensor) -> Tensor:
    two = constant(2.0, x.device)
    return _log2_grad(_div(_exp2_grad(grad, _div(log2(x, False), two)), two), x)


_FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exp2": _exp2_grad,
    "log2": _log2_grad,
    "exp": _exp_grad,
    "log": _log_grad,
    "sqrt": _sqrt_grad,
}
"""Approximate derivatives, times the gradient, as compositions that can be differentiated again."""


def _define(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def kernel(x: Tensor, exact: bool) -> Tensor:
        backend = for_tensor(x)
        if x.dtype is _FLOAT:
            return backend.unary(name, x)
        dtype = check_float(name, "input", x)
        return round_to(backend.unary(name, x.float()), dtype)

    def fake(x: Tensor, exact: bool) -> Tensor:
        return x.new_empty(x.shape, dtype=check_float(name, "input", x))

    def grad_kernel(grad: Tensor, x: Tensor, exact: bool) -> Tensor:
        backend = for_tensor(x)
        if are_plain(grad, x):
            return backend.unary_grad(name, grad, x, exact)
        dtype = check_floats(f"{name}_grad", grad=grad, input=x)
        return round_to(backend.unary_grad(name, grad.float(), x.float(), exact), dtype)

    def grad_fake(grad: Tensor, x: Tensor, exact: bool) -> Tensor:
        return x.new_empty(x.shape, dtype=check_floats(f"{name}_grad", grad=grad, input=x))

    def grad_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (exact,) = ctx.rest
        if exact:  # a scaling by a power of two, constant on the segment
            return by_input(grad, ctx.saved_tensors[1], True), None, None
        return *differentiate(_FORMULAS[name], ctx, grad), None

    by_input = define(
        f"{name}_grad(Tensor grad, Tensor x, bool exact) -> Tensor",
        grad_kernel,
        grad_fake,
        setup=save_all,
        backward=grad_backward if name in _FORMULAS else None,
    )

    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return by_input(grad, *ctx.saved_tensors, *ctx.rest), None

    return define(f"{name}(Tensor x, bool exact) -> Tensor", kernel, fake, setup=save_all, backward=backward), by_input


_OPERATIONS = {name: _define(name) for name in Backend.UNARY}

exp2, exp2_grad = _OPERATIONS["exp2"]
log2, log2_grad = _OPERATIONS["log2"]
exp, exp_grad = _OPERATIONS["exp"]
log, log_grad = _OPERATIONS["log"]
sqrt, sqrt_grad = _OPERATIONS["sqrt"]
gelu, gelu_grad = _OPERATIONS["gelu"]
sigmoid, sigmoid_grad = _OPERATIONS["sigmoid"]
silu, silu_grad = _OPERATIONS["silu"]
tanh, tanh_grad = _OPERATIONS["tanh"]
