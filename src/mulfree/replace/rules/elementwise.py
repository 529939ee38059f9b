"""Products, quotients, powers and functions, number by number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.ops.checks import broadcast_shape
from mulfree.ops.reductions import broadcast
from mulfree.policy import Policy
from mulfree.replace.rules._operands import floats, promoted
from mulfree.replace.rules._rule import rule


@rule("mul", "multiply", closed=True)
def _mul(policy: Policy, input: Any, other: Any) -> Tensor:
    return MF.mul(*promoted(input, other), derivative=policy.elementwise.derivative)


@rule("div", "divide", "true_divide")
def _div(policy: Policy, input: Any, other: Any, rounding_mode: str | None = None) -> Tensor:
    quotient = MF.div(*promoted(input, other), derivative=policy.elementwise.derivative)
    if rounding_mode is None:
        return quotient
    return quotient.floor() if rounding_mode == "floor" else quotient.trunc()


@rule("add", closed=True)
def _add(policy: Policy, input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    left, right = _terms(policy, input, other, alpha)
    return torch.add(left, right)


@rule("sub", "subtract", closed=True)
def _sub(policy: Policy, input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    left, right = _terms(policy, input, other, alpha)
    return torch.sub(left, right)


@rule("rsub", closed=True)
def _rsub(policy: Policy, input: Any, other: Any, alpha: float = 1) -> Tensor:
    return _sub(policy, other, input, alpha=alpha)


def _terms(policy: Policy, input: Any, other: Any, alpha: float) -> tuple[Any, Any]:
    """Two operands of one shape, the second times ``alpha``."""
    if alpha != 1:
        other = MF.mul(*promoted(other, float(alpha)), derivative=policy.elementwise.derivative)
    if isinstance(input, Tensor) and isinstance(other, Tensor) and input.shape != other.shape:
        shape = broadcast_shape(input.shape, other.shape)
        return broadcast(input, shape), broadcast(other, shape)
    return input, other


@rule("pow", "float_power", closed=True)
def _pow(policy: Policy, input: Any, exponent: Any) -> Tensor:
    input, exponent = promoted(input, exponent)
    return MF.pow(input, exponent, derivative=policy.elementwise.derivative)


def _unary(function: Any, *names: str) -> None:
    def apply(policy: Policy, input: Tensor) -> Tensor:
        result: Tensor = function(floats(input), derivative=policy.elementwise.derivative)
        return result

    rule(*(names or (function.__name__,)))(apply)


for _function in (MF.exp, MF.exp2, MF.log, MF.log2, MF.sqrt):
    _unary(_function)
