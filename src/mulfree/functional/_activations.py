"""Activation functions. Their forms are in spec 7; the derivative of a composition is the chain of its steps'."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mulfree.functional._elementwise import div, exp, log, mul
from mulfree.functional._options import Derivative, is_exact, whole_dim
from mulfree.functional._rows import softmax
from mulfree.functional._widening import rounded, widened
from mulfree.numerics import scalar
from mulfree.ops import extrema, unary
from mulfree.ops.constants import constant, difference, quotient

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _given(input: Tensor, inplace: bool) -> Tensor:
    """The operand to compute with: what an operation in place overwrites must stay for the derivative."""
    return input.clone() if inplace else input


def _delivered(result: Tensor, input: Tensor, inplace: bool) -> Tensor:
    result = rounded(result, input)
    return input.copy_(result) if inplace else result


def sigmoid(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.sigmoid``: ``div(1, 1 + exp(-x))``."""
    result: Tensor = unary.sigmoid(input, is_exact(derivative))
    return result


def tanh(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.tanh``: ``div(1 - e, 1 + e)`` with ``e = exp(-2 |x|)`` and the sign of x; at most 0.046 off."""
    result: Tensor = unary.tanh(input, is_exact(derivative))
    return result


def silu(input: Tensor, inplace: bool = False, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.silu``: ``mul(x, sigmoid(x))``."""
    result: Tensor = unary.silu(_given(input, inplace), is_exact(derivative))
    return _delivered(result, input, inplace)


def logsigmoid(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.logsigmoid``: ``min(x, 0) - log(1 + exp(-|x|))``."""
    x = widened("logsigmoid", input)
    negative = x < 0
    tail = log(1.0 + exp(torch.where(negative, x, -x), derivative=derivative), derivative=derivative)
    return rounded(x.masked_fill(~negative & ~x.isnan(), 0.0) - tail, input)


def _softplus(x: Tensor, beta: float, threshold: float, derivative: Derivative) -> Tensor:
    scaled = x if beta == 1.0 else mul(x, beta, derivative=derivative)
    linear = scaled > threshold
    soft = log(1.0 + exp(scaled.masked_fill(linear, 0.0), derivative=derivative), derivative=derivative)
    if beta != 1.0:
        soft = div(soft, beta, derivative=derivative)
    return torch.where(linear, x, soft)


def softplus(
    input: Tensor, beta: float = 1.0, threshold: float = 20.0, *, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.nn.functional.softplus``: ``div(log(1 + exp(mul(x, beta))), beta)``; x where mul(x, beta) > threshold."""
    return rounded(_softplus(widened("softplus", input), beta, threshold, derivative), input)


def mish(input: Tensor, inplace: bool = False, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.mish``: ``mul(x, tanh(softplus(x)))``."""
    x = widened("mish", _given(input, inplace))
    soft = tanh(_softplus(x, 1.0, 20.0, derivative), derivative=derivative)
    return _delivered(mul(x, soft, derivative=derivative), input, inplace)


def _exponential_unit(x: Tensor, alpha: float, inner: float, derivative: Derivative) -> Tensor:
    """x where it is positive, else ``mul(alpha, exp(div(x, inner)) - 1)``."""
    positive = x > 0
    argument = x.masked_fill(positive, 0.0)
    if inner != 1.0:
        argument = div(argument, inner, derivative=derivative)
    power = exp(argument, derivative=derivative) - 1.0
    return torch.where(positive, x, power if alpha == 1.0 else mul(power, alpha, derivative=derivative))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.elu``: ``mul(exp(x) - 1, alpha)`` where x is not positive."""
    x = widened("elu", _given(input, inplace))
    return _delivered(_exponential_unit(x, alpha, 1.0, derivative), input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.celu``: ``mul(exp(div(x, alpha)) - 1, alpha)`` where x is not positive."""
    if alpha == 0:
        raise RuntimeError("celu(): 'alpha' must not be 0")
    x = widened("celu", _given(input, inplace))
    return _delivered(_exponential_unit(x, alpha, alpha, derivative), input, inplace)


def selu(input: Tensor, inplace: bool = False, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.selu``: ``mul(elu(x, 1.673...), 1.050...)``."""
    x = widened("selu", _given(input, inplace))
    unit = _exponential_unit(x, _SELU_ALPHA, 1.0, derivative)
    return _delivered(mul(unit, _SELU_SCALE, derivative=derivative), input, inplace)


def leaky_relu(
    input: Tensor, negative_slope: float = 0.01, inplace: bool = False, *, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.nn.functional.leaky_relu``: ``mul(x, negative_slope)`` where x is not positive."""
    x = _given(input, inplace)
    return _delivered(torch.where(x > 0, x, mul(x, negative_slope, derivative=derivative)), input, inplace)


def prelu(input: Tensor, weight: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.prelu``: ``mul(x, weight)`` where x is not positive.

    Args:
        input: ``(batch, channels, *)``.
        weight: one number, or one for each channel.
    """
    if weight.dim() > 1:
        raise RuntimeError(f"prelu(): 'weight' must be a scalar or a vector, got {weight.dim()} dimensions")
    if weight.numel() != 1:
        channels = input.shape[1] if input.dim() > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                f"prelu(): 'weight' must have one number or one for each of {channels} channels, got {weight.numel()}"
            )
        weight = weight.view(-1, *(1 for _ in range(input.dim() - 2)))
    elif weight.dim():
        weight = weight.view([1] * max(input.dim(), 1)) if input.dim() else weight.view(())
    return torch.where(input > 0, input, mul(input, weight, derivative=derivative))


def rrelu(
    input: Tensor,
    lower: float = 0.125,
    upper: float = 0.3333333333333333,
    training: bool = False,
    inplace: bool = False,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.rrelu``: ``mul(x, slope)`` where x is not positive.

    The slope is (lower + upper) / 2, or in training ``lower + mul(u, upper - lower)`` with u from 23 random bits of
    torch's default generator; they are not the numbers that torch's rrelu would take.
    """
    if not lower <= upper:
        raise RuntimeError(f"rrelu(): 'upper' must be at least 'lower' {lower}, got {upper}")
    x = widened("rrelu", _given(input, inplace))
    if training:
        digits = torch.randint(1 << 23, x.shape, dtype=torch.int32, device=x.device)
        uniform = (digits | _ONE).view(torch.float32) - 1.0
        slope = mul(uniform, difference(upper, lower)) + constant(lower, x.device)
    else:
        slope = constant(quotient(difference(lower, -upper), 2.0), x.device)
    return _delivered(torch.where(x > 0, x, mul(x, slope, derivative=derivative)), input, inplace)


_ONE = scalar.bits(1.0)


def hardsigmoid(input: Tensor, inplace: bool = False, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.hardsigmoid``: ``div(clamp(x + 3, 0, 6), 6)``."""
    x = widened("hardsigmoid", _given(input, inplace))
    return _delivered(div(F.relu6(x + 3.0), 6.0, derivative=derivative), input, inplace)


def hardswish(input: Tensor, inplace: bool = False, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.hardswish``: ``div(mul(x, clamp(x + 3, 0, 6)), 6)``."""
    x = widened("hardswish", _given(input, inplace))
    gated = mul(x, F.relu6(x + 3.0), derivative=derivative)
    return _delivered(div(gated, 6.0, derivative=derivative), input, inplace)


def softsign(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.softsign``: ``div(x, 1 + |x|)``."""
    x = widened("softsign", input)
    return rounded(div(x, 1.0 + extrema.absolute(x), derivative=derivative), input)


def tanhshrink(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.tanhshrink``: ``x - tanh(x)``."""
    x = widened("tanhshrink", input)
    return rounded(x - tanh(x, derivative=derivative), input)


def glu(input: Tensor, dim: int = -1, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.glu``: ``mul(a, sigmoid(b))`` of the two halves of ``dim``."""
    if input.dim() == 0:
        raise RuntimeError("glu(): 'input' must have at least one dimension")
    dim = whole_dim(dim, input.dim())
    size = input.shape[dim]
    if size & 1:
        raise RuntimeError(f"glu(): dimension {dim} of 'input' must be even, got {size}")
    a, b = widened("glu", input).split(size >> 1, dim)
    return rounded(mul(a, sigmoid(b, derivative=derivative), derivative=derivative), input)


def softmin(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.softmin``: ``softmax(-x)``. Without ``dim`` torch's choice, dimension 0 or 1."""
    if dim is None:
        dim = 0 if input.dim() in (0, 1, 3) else 1
    return softmax(-input, dim, dtype, derivative=derivative)
