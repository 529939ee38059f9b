"""Logistic function and tangent of the recurrent cells, with both derivatives, by the backend's operations (spec 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.numerics import formats, scalar
from mulfree.ops.constants import constant

_LARGEST_EXPONENT = 127.0
"""The power of two of the logistic function stays finite; beyond, its result is zero."""


def product_grad(backend: Backend, exact: bool, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Derivative of ``mul(a, b)`` by a."""
    return backend.mul_grad(grad, a, b) if exact else backend.mul(b, grad)


def _exp2_grad(backend: Backend, exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    return backend.unary_grad("exp2", grad, x, exact)


def _log2e(x: Tensor) -> Tensor:
    return constant(scalar.value(formats.LOG2E), x.device)


def _exponent(backend: Backend, x: Tensor) -> Tensor:
    return backend.mul(-x, _log2e(x)).clamp(max=_LARGEST_EXPONENT)


def sigmoid(backend: Backend, x: Tensor) -> Tensor:
    """``div(1, 1 + exp2(z))`` with ``z = mul(-x, log2 e)``, at most 127."""
    return backend.div(constant(1.0, x.device), 1.0 + backend.unary("exp2", _exponent(backend, x)))


def sigmoid_grad(backend: Backend, grad: Tensor, x: Tensor, exact: bool) -> Tensor:
    exponent = _exponent(backend, x)
    one = constant(1.0, x.device)
    by_power = backend.div_grad_denominator(grad, one, 1.0 + backend.unary("exp2", exponent), exact)
    by_exponent = _exp2_grad(backend, exact, by_power, exponent)
    return -product_grad(backend, exact, by_exponent, -x, _log2e(x))


def _tanh_power(backend: Backend, x: Tensor) -> tuple[Tensor, Tensor]:
    twice = x.copysign(constant(-1.0, x.device))
    twice = twice + twice
    return twice, backend.unary("exp", twice)


def tanh(backend: Backend, x: Tensor) -> Tensor:
    """``div(1 - e, 1 + e)`` with ``e = exp(-2 abs(x))`` and the sign of x."""
    power = _tanh_power(backend, x)[1]
    result = backend.div(1.0 - power, 1.0 + power)
    return torch.where(result.isnan(), result, result.copysign(x))


def tanh_grad(backend: Backend, grad: Tensor, x: Tensor, exact: bool) -> Tensor:
    """The signs of x and of the result cancel."""
    twice, power = _tanh_power(backend, x)
    top, bottom = 1.0 - power, 1.0 + power
    by_top = backend.div_grad_numerator(grad, top, bottom) if exact else backend.div(grad, bottom)
    by_power = backend.div_grad_denominator(grad, top, bottom, exact) - by_top
    by_twice = backend.unary_grad("exp", by_power, twice, exact)
    return -(by_twice + by_twice)
