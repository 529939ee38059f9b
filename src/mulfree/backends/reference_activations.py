"""Activation functions, ``numerics/rows.py`` function by function, on tensors of words."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends import reference_words as word
from mulfree.backends.reference_rows import denominator_grad, exp, exp2_grad, exp_grad, mul_grad, numerator_grad
from mulfree.backends.reference_words import add, constant, div, exp2, is_zero, mul, negate
from mulfree.numerics.formats import GELU_CUBIC, GELU_SCALE, INF, LOG2E, MAGNITUDE, NAN, ONE, SIGMOID_MOST, SIGN, STEP


def _logistic_exponent(x: Tensor) -> Tensor:
    """-x log2(e), at most 127."""
    exponent = mul(negate(x), constant(LOG2E, x))
    return torch.where((exponent > SIGMOID_MOST) & (exponent <= INF), SIGMOID_MOST, exponent)


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function: 1 / (1 + exp(-x))."""
    one = constant(ONE, x)
    return div(one, add(one, exp2(_logistic_exponent(x))))


def sigmoid_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    one, exponent = constant(ONE, x), _logistic_exponent(x)
    d_power = denominator_grad(exact, grad, one, add(one, exp2(exponent)))
    return negate(mul_grad(exact, exp2_grad(exact, d_power, exponent), negate(x), constant(LOG2E, x)))


def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x)."""
    return mul(x, sigmoid(x))


def silu_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    logistic = sigmoid(x)
    d_logistic = mul_grad(exact, grad, logistic, x)
    return add(mul_grad(exact, grad, x, logistic), sigmoid_grad(exact, d_logistic, x))


def _doubled(a: Tensor) -> Tensor:
    """2 a: a step of the exponent."""
    doubled = word.finish(a & SIGN, (a & MAGNITUDE) + STEP)
    return torch.where(word.is_nan(a), NAN, torch.where(is_zero(a), a & SIGN, doubled))


def _tanh_power(x: Tensor) -> tuple[Tensor, Tensor]:
    """-2 |x| and its power exp(-2 |x|)."""
    twice = negate(_doubled(x & MAGNITUDE))
    return twice, exp(twice)


def tanh(x: Tensor) -> Tensor:
    """(1 - e) / (1 + e) with e = exp(-2 |x|) and the sign of x."""
    one, power = constant(ONE, x), _tanh_power(x)[1]
    result = div(add(one, negate(power)), add(one, power))
    return torch.where(word.is_nan(result), NAN, result | (x & SIGN))


def tanh_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    one, (twice, power) = constant(ONE, x), _tanh_power(x)
    top, bottom = add(one, negate(power)), add(one, power)
    d_top = numerator_grad(exact, grad, top, bottom)
    d_power = add(denominator_grad(exact, grad, top, bottom), negate(d_top))
    return negate(_doubled(exp_grad(exact, d_power, twice)))


def gelu(x: Tensor) -> Tensor:
    """GELU by its tanh approximation, written with the logistic function: x * sigmoid(u(x))."""
    return mul(x, sigmoid(_gelu_inner(x)[0]))


def _gelu_inner(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """u = scale * (x + cubic * ((x * x) * x)) and its intermediate values."""
    square = mul(x, x)
    cube = mul(square, x)
    inner = add(x, mul(cube, constant(GELU_CUBIC, x)))
    return mul(inner, constant(GELU_SCALE, x)), inner, cube, square


def gelu_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    u, inner, cube, square = _gelu_inner(x)
    logistic = sigmoid(u)
    outer = mul_grad(exact, grad, x, logistic)
    d_u = sigmoid_grad(exact, mul_grad(exact, grad, logistic, x), u)
    d_inner = mul_grad(exact, d_u, inner, constant(GELU_SCALE, x))
    d_cube = mul_grad(exact, d_inner, cube, constant(GELU_CUBIC, x))
    by_factor = mul_grad(exact, d_cube, x, square)
    d_square = mul_grad(exact, d_cube, square, x)
    by_square = mul_grad(exact, d_square, x, x)
    return add(add(add(outer, d_inner), by_factor), add(by_square, by_square))
