"""Functions that work number by number."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mulfree.functional._options import Derivative, Derivatives, are_exact, is_exact, offset
from mulfree.ops import elementwise, unary
from mulfree.ops.constants import constant

Operand = Tensor | float


def _operands(operation: str, a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    if not isinstance(a, Tensor):
        if not isinstance(b, Tensor):
            raise TypeError(f"{operation}(): 'input' or 'other' must be a tensor, got {type(a)} and {type(b)}")
        return constant(a, b.device), b
    return a, b if isinstance(b, Tensor) else constant(b, a.device)


def mul(
    input: Operand,
    other: Operand,
    *,
    derivative: Derivatives = "approximate",
    compensation: float | None = None,
) -> Tensor:
    """``torch.mul`` by PAM: adds the bit patterns of the operands (section 2.2).

    Args:
        input, other: tensors of one dtype whose shapes broadcast; one of them may be a Python number,
            which is rounded to float32.
        derivative: for each operand if a pair.
        compensation: factor that every product gets in addition (section 2.7).

    Returns:
        A tensor of the broadcast shape and the operands' dtype; between 0.889 and 1 times the product where
        that is in range. Infinities, NaN and zeros as in IEEE; results below 2**-126 are zero.
    """
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        input, other = _operands("mul", input, other)
    result: Tensor = elementwise.mul(input, other, offset(compensation), *are_exact(derivative))
    return result


def div(
    input: Operand,
    other: Operand,
    *,
    rounding_mode: Literal["floor", "trunc"] | None = None,
    derivative: Derivatives = "approximate",
) -> Tensor:
    """``torch.div`` by PAD: subtracts the bit patterns of the operands (section 2.3).

    Args:
        input, other: tensors of one dtype whose shapes broadcast; one of them may be a Python number,
            which is rounded to float32.
        rounding_mode: "floor" and "trunc" round the PA quotient to a whole number, whose gradient is zero.
        derivative: for each operand if a pair.

    Returns:
        A tensor of the broadcast shape and the operands' dtype; between 1 and 1.125 times the quotient where
        that is in range. Infinities, NaN and zeros as in IEEE; results below 2**-126 are zero.
    """
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        input, other = _operands("div", input, other)
    result: Tensor = elementwise.div(input, other, *are_exact(derivative))
    if rounding_mode is None:
        return result
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f"div(): rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}")
    return torch.floor(result) if rounding_mode == "floor" else torch.trunc(result)


def exp2(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.exp2`` by eq. 9: the number read as a fixed-point exponent and mantissa."""
    result: Tensor = unary.exp2(input, is_exact(derivative))
    return result


def log2(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.log2`` by eq. 10: exponent and mantissa read as a fixed-point number."""
    result: Tensor = unary.log2(input, is_exact(derivative))
    return result


def exp(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.exp`` by eq. 18: ``exp2(mul(x, log2(e)))``."""
    result: Tensor = unary.exp(input, is_exact(derivative))
    return result


def log(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.log`` by eq. 19: ``div(log2(x), log2(e))``."""
    result: Tensor = unary.log(input, is_exact(derivative))
    return result


def sqrt(input: Tensor, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.sqrt`` by eq. 20: ``exp2(div(log2(x), 2))``."""
    result: Tensor = unary.sqrt(input, is_exact(derivative))
    return result


def gelu(input: Tensor, approximate: str = "none", *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.nn.functional.gelu`` in one PA form: ``div(x, 1 + exp(-u))`` with the cubic u of the tanh form.

    ``approximate`` is "none" or "tanh" as in torch; both give this form (the two real functions differ by
    less than 5e-4).
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu(): approximate must be 'none' or 'tanh', got {approximate!r}")
    result: Tensor = unary.gelu(input, is_exact(derivative))
    return result


def pow(input: Tensor, exponent: Tensor | float, *, derivative: Derivative = "approximate") -> Tensor:
    """``torch.pow``. A whole number: repeated ``mul``; +-0.5: through ``sqrt``; else ``exp2(mul(log2(x), p))``.

    ``exponent`` is a Python number or a tensor of the dtype of ``input``; a tensor always takes the last form,
    which is NaN for negative ``input``. Deviation: with a fractional or tensor exponent ``x ** 0`` is NaN
    at x = 0 and at infinity, where torch returns 1.
    """
    if isinstance(exponent, Tensor):
        return exp2(mul(log2(input, derivative=derivative), exponent, derivative=derivative), derivative=derivative)
    if exponent in (0.5, -0.5):
        root = sqrt(input, derivative=derivative)
        return root if exponent > 0 else div(1.0, root, derivative=derivative)
    if float(exponent).is_integer():
        power = _whole_power(input, abs(int(exponent)), derivative)
        return power if exponent >= 0 else div(1.0, power, derivative=derivative)
    return exp2(mul(log2(input, derivative=derivative), exponent, derivative=derivative), derivative=derivative)


def _whole_power(base: Tensor, exponent: int, derivative: Derivative) -> Tensor:
    """base * ... * base, ``exponent`` factors, by repeated squaring."""
    result: Tensor | None = None
    while exponent:
        if exponent & 1:
            result = base if result is None else mul(result, base, derivative=derivative)
        exponent >>= 1
        if exponent:
            base = mul(base, base, derivative=derivative)
    if result is None:
        return torch.ones_like(base)
    return mul(result, 1.0, derivative=derivative) if result is base else result
