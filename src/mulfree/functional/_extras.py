"""Sums with a factor, quotients and roots, selections, interpolation. Their forms are in spec 7."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.functional._elementwise import Operand, div, mul, sqrt
from mulfree.functional._options import Derivative, whole_dims
from mulfree.functional._widening import as_float32, common_dtype, rounded, widened
from mulfree.ops import extrema
from mulfree.ops.constants import constant, difference, product

Dims = int | tuple[int, ...] | list[int] | None


def _scaled(x: Operand, alpha: float, derivative: Derivative) -> Operand:
    """x times ``alpha``; no product for 1 and -1."""
    if alpha == 1:
        return x
    if alpha == -1:
        return -x
    return mul(x, alpha, derivative=derivative) if isinstance(x, Tensor) else product(x, alpha)


def add(input: Operand, other: Operand, *, alpha: float = 1, derivative: Derivative = "approximate") -> Tensor:
    """``torch.add``: ``input + mul(other, alpha)``; the product is left out for alpha = 1 and -1."""
    dtype = common_dtype("add", input, other)
    result = as_float32(input) + _scaled(as_float32(other), alpha, derivative)
    assert isinstance(result, Tensor)
    return rounded(result, dtype)


def sub(input: Operand, other: Operand, *, alpha: float = 1, derivative: Derivative = "approximate") -> Tensor:
    """``torch.sub``: ``input - mul(other, alpha)``; the product is left out for alpha = 1 and -1."""
    dtype = common_dtype("sub", input, other)
    result = as_float32(input) - _scaled(as_float32(other), alpha, derivative)
    assert isinstance(result, Tensor)
    return rounded(result, dtype)


def rsub(input: Tensor, other: Operand, *, alpha: float = 1, derivative: Derivative = "approximate") -> Tensor:
    """``torch.rsub``: ``other - mul(input, alpha)``."""
    return sub(other, input, alpha=alpha, derivative=derivative)


def square(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.square``: ``mul(x, x)``."""
    return mul(input, input, derivative=derivative)


def reciprocal(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.reciprocal``: ``div(1, x)``."""
    return div(1.0, input, derivative=derivative)


def rsqrt(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.rsqrt``: ``div(1, sqrt(x))``. Deviation: +inf at -0."""
    x = widened("rsqrt", input)
    return rounded(div(1.0, sqrt(x, derivative=derivative), derivative=derivative), input)


def abs(input: Tensor) -> Tensor:
    """``torch.abs``, the derivative included: 0 at 0."""
    result: Tensor = extrema.absolute(input)
    return result


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """``torch.maximum``, the derivative included: ties share the gradient by halves."""
    result: Tensor = extrema.maximum(input, other)
    return result


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """``torch.minimum``, the derivative included: ties share the gradient by halves."""
    result: Tensor = extrema.minimum(input, other)
    return result


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """``torch.fmax``, the derivative included: ties give it to ``input``."""
    result: Tensor = extrema.fmax(input, other)
    return result


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """``torch.fmin``, the derivative included: ties give it to ``input``."""
    result: Tensor = extrema.fmin(input, other)
    return result


def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """``torch.amax``; ties share the gradient: ``div(gradient, number of ties)``."""
    result: Tensor = extrema.amax(input, whole_dims(dim, input.dim()), keepdim)
    return result


def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """``torch.amin``; ties share the gradient: ``div(gradient, number of ties)``."""
    result: Tensor = extrema.amin(input, whole_dims(dim, input.dim()), keepdim)
    return result


def clamp(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """``torch.clamp`` with numbers or tensors as bounds. The gradient goes to the operand that gives the result."""
    if min is None and max is None:
        raise RuntimeError("clamp(): at least one of 'min' and 'max' must not be None")
    if not isinstance(min, Tensor) and not isinstance(max, Tensor):
        return torch.clamp(input, min, max)
    operands = [input, *(bound for bound in (min, max) if bound is not None)]
    dtype = common_dtype("clamp", *operands)
    result = input.float()
    if min is not None:
        low = _tensor(min, input)
        result = torch.where((result < low) | low.isnan(), low, result)
    if max is not None:
        high = _tensor(max, input)
        result = torch.where((result > high) | high.isnan(), high, result)
    return rounded(result, dtype)


def _tensor(bound: Operand, like: Tensor) -> Tensor:
    return bound.float() if isinstance(bound, Tensor) else constant(bound, like.device)


def addcmul(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.addcmul``: ``input + mul(mul(tensor1, tensor2), value)``."""
    dtype = common_dtype("addcmul", input, tensor1, tensor2)
    products = mul(tensor1.float(), tensor2.float(), derivative=derivative)
    return rounded(input.float() + _scaled(products, value, derivative), dtype)


def addcdiv(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.addcdiv``: ``input + mul(div(tensor1, tensor2), value)``."""
    dtype = common_dtype("addcdiv", input, tensor1, tensor2)
    quotient = div(tensor1.float(), tensor2.float(), derivative=derivative)
    return rounded(input.float() + _scaled(quotient, value, derivative), dtype)


def lerp(input: Tensor, end: Tensor, weight: Operand, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.lerp``: ``a + mul(b - a, weight)`` if |weight| < 0.5, else ``b - mul(b - a, 1 - weight)``."""
    dtype = common_dtype("lerp", input, end, weight)
    start, stop = input.float(), end.float()
    way = stop - start
    if not isinstance(weight, Tensor):
        if -0.5 < weight < 0.5:
            return rounded(start + mul(way, weight, derivative=derivative), dtype)
        return rounded(stop - mul(way, difference(1.0, weight), derivative=derivative), dtype)
    factor = weight.float()
    near = start + mul(factor, way, derivative=derivative)
    far = stop - mul(1.0 - factor, way, derivative=derivative)
    return rounded(torch.where((factor < 0.5) & (factor > -0.5), near, far), dtype)
