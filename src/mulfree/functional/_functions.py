"""Exponentials, logarithms and their kin, composed of ``exp``, ``log`` and the like. Their forms are in spec 7."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.functional._activations import tanh
from mulfree.functional._elementwise import Operand, div, exp, exp2, log, log2, mul, pow, sqrt
from mulfree.functional._options import Derivative
from mulfree.functional._widening import common_dtype, rounded, widened

_LOG2_10 = 3.321928094887362
_ERF_SCALE = 1.1283791670955126
"""2 / sqrt(pi)."""
_ERF_CUBIC = 0.08943
"""Twice the cubic coefficient of GELU's tanh form, since erf(x) = 2 Phi(x sqrt(2)) - 1."""


def log10(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.log10``: ``div(log2(x), log2(10))``."""
    x = widened("log10", input)
    return rounded(div(log2(x, derivative=derivative), _LOG2_10, derivative=derivative), input)


def log1p(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.log1p``: ``log(1 + x)``; the sum is rounded, so that tiny x give 0."""
    return rounded(log(1.0 + widened("log1p", input), derivative=derivative), input)


def expm1(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.expm1``: ``exp(x) - 1``; tiny x give 0."""
    return rounded(exp(widened("expm1", input), derivative=derivative) - 1.0, input)


def _above_larger(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The larger of both, and minus their distance, which is 0 between equal infinities."""
    first = (a >= b) | a.isnan()
    larger, smaller = torch.where(first, a, b), torch.where(first, b, a)
    return larger, (smaller - larger).masked_fill((smaller == larger) & smaller.isinf(), 0.0)


def logaddexp(input: Tensor, other: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.logaddexp``: ``m + log(1 + exp(-|a - b|))`` with the larger operand m."""
    dtype = common_dtype("logaddexp", input, other)
    larger, distance = _above_larger(input.float(), other.float())
    return rounded(larger + log(1.0 + exp(distance, derivative=derivative), derivative=derivative), dtype)


def logaddexp2(input: Tensor, other: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.logaddexp2``: ``m + log2(1 + exp2(-|a - b|))`` with the larger operand m."""
    dtype = common_dtype("logaddexp2", input, other)
    larger, distance = _above_larger(input.float(), other.float())
    return rounded(larger + log2(1.0 + exp2(distance, derivative=derivative), derivative=derivative), dtype)


def sinh(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.sinh``: ``mul(exp(x) - exp(-x), 0.5)``."""
    x = widened("sinh", input)
    return rounded(mul(exp(x, derivative=derivative) - exp(-x, derivative=derivative), 0.5), input)


def cosh(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.cosh``: ``mul(exp(x) + exp(-x), 0.5)``."""
    x = widened("cosh", input)
    return rounded(mul(exp(x, derivative=derivative) + exp(-x, derivative=derivative), 0.5), input)


def hypot(input: Tensor, other: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.hypot``: ``sqrt(mul(a, a) + mul(b, b))``."""
    dtype = common_dtype("hypot", input, other)
    a, b = input.float(), other.float()
    squares = mul(a, a, derivative=derivative) + mul(b, b, derivative=derivative)
    return rounded(sqrt(squares, derivative=derivative), dtype)


def erf(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.erf`` by ``tanh(mul(x + mul(mul(mul(x, x), x), 0.08943), 2 / sqrt(pi)))``, the form of GELU.

    The real form differs from erf by less than 8e-4, PA arithmetic adds its own error.
    """
    x = widened("erf", input)
    cube = mul(mul(x, x, derivative=derivative), x, derivative=derivative)
    inner = x + mul(cube, _ERF_CUBIC, derivative=derivative)
    return rounded(tanh(mul(inner, _ERF_SCALE, derivative=derivative), derivative=derivative), input)


def float_power(input: Tensor, exponent: Operand, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.float_power`` as ``pow``. Deviation: the result has the dtype of ``input``, not float64."""
    return pow(input, exponent, derivative=derivative)
