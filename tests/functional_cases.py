"""What the tests of compositions share: PA arithmetic in double precision, and the checks that every function gets.

The functions below compute eqs. 4 to 20 on float64 numbers, so a composition in float32 must come as near to its
written form as float32 rounding allows: a value is off by a few units of 2**-24 of the largest number on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import mulfree as mf
from mulfree.functional import Derivative

LOG2E = math.log2(math.e)


def log2(x: Tensor) -> Tensor:
    mantissa, exponent = torch.frexp(x)
    return exponent - 1 + (2 * mantissa - 1)


def exp2(x: Tensor) -> Tensor:
    whole = torch.floor(x)
    return torch.exp2(whole) * (1 + x - whole)


def mul(a: Tensor, b: Tensor | float) -> Tensor:
    b = torch.as_tensor(b, dtype=torch.float64)
    product = exp2(log2(a.abs()) + log2(b.abs())) * a.sign() * b.sign()
    return torch.where((a == 0) | (b == 0), 0.0, product)


def div(a: Tensor | float, b: Tensor | float) -> Tensor:
    a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (a, b))
    quotient = exp2(log2(a.abs()) - log2(b.abs())) * a.sign() * b.sign()
    return torch.where(a == 0, 0.0, quotient)


def exp(x: Tensor) -> Tensor:
    return exp2(mul(x, LOG2E))


def log(x: Tensor) -> Tensor:
    return div(log2(x), LOG2E)


def sqrt(x: Tensor) -> Tensor:
    return torch.where(x == 0, 0.0, exp2(log2(x) / 2))


@dataclass(frozen=True)
class Case:
    """A function beside torch's, with its written form in the arithmetic above."""

    ours: Callable[..., Tensor]
    """Takes operands and ``derivative=``."""
    torchs: Callable[..., Tensor]
    form: Callable[..., Tensor]
    operands: tuple[Tensor, ...]
    error: float
    """How far PA arithmetic is from torch's result at most, in units of the largest result: a product is up to 1/9
    too small, a quotient 1/8 too large, and the exponent of exp is a product."""
    slope_error: float = 0.15
    """The same of gradients."""


def gradients(function: Callable[..., Tensor], operands: tuple[Tensor, ...], upstream: Tensor) -> tuple[Tensor, ...]:
    inputs = [x.clone().requires_grad_() for x in operands]
    found = torch.autograd.grad(function(*inputs), inputs, upstream, allow_unused=True)
    return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(operands, found, strict=True))


def _distance(a: Tensor, b: Tensor) -> float:
    scale = b.double().abs().max().clamp_min(1e-6)
    return float((a.double() - b.double()).abs().max() / scale)


def check_form(case: Case) -> None:
    """The result is the written form; torch's function of the name is near."""
    result = case.ours(*case.operands)
    assert result.dtype is torch.float32
    expected = case.form(*(x.double() for x in case.operands))
    assert result.shape == expected.shape
    assert _distance(result, expected) < 1e-5
    assert _distance(result, case.torchs(*case.operands)) <= case.error


def _upstream(case: Case) -> Tensor:
    return torch.randn(case.torchs(*case.operands).shape, generator=torch.Generator().manual_seed(4))


def check_approximate_gradients(case: Case) -> None:
    """Near torch's gradients, by every operand."""
    upstream = _upstream(case)
    ours = gradients(case.ours, case.operands, upstream)
    theirs = gradients(case.torchs, case.operands, upstream)
    for mine, other in zip(ours, theirs, strict=True):
        assert _distance(mine, other) <= case.slope_error


def check_exact_gradients(case: Case) -> None:
    """The slope of the written form along a random direction, taken in double precision inside a segment."""

    def exact(*operands: Tensor) -> Tensor:
        return case.ours(*operands, derivative="exact")

    generator = torch.Generator().manual_seed(5)
    upstream = _upstream(case).double()
    found = gradients(exact, case.operands, upstream.float())
    wide = [x.double() for x in case.operands]
    step = 2.0**-22
    for position, slope in enumerate(found):
        # One operand moves, all its entries at once, so few and tiny steps meet a breakpoint.
        way = torch.randn(slope.shape, generator=generator).double()
        ends = [[x + sign * step * way if i == position else x for i, x in enumerate(wide)] for sign in (1, -1)]
        forward, backward = (case.form(*end) for end in ends)
        difference = ((forward - backward) * upstream).sum() / (2 * step)
        expected = (slope.double() * way).sum()
        scale = (slope.double() * way).abs().sum().clamp_min(1e-6)
        assert abs(float(difference - expected)) < 2e-3 * float(scale)


def check_half_precision(case: Case) -> None:
    """The float32 result of the widened operands, rounded once."""
    for dtype in (torch.float16, torch.bfloat16):
        narrow = tuple(x.to(dtype) for x in case.operands)
        result = case.ours(*narrow)
        assert result.dtype is dtype
        assert torch.equal(result, case.ours(*(x.float() for x in narrow)).to(dtype))


def check_no_multiplications(case: Case) -> None:
    derivatives: tuple[Derivative, ...] = ("approximate", "exact")
    for derivative in derivatives:
        inputs = [x.clone().requires_grad_() for x in case.operands]
        with mf.audit() as audit:
            result = case.ours(*inputs, derivative=derivative)
            torch.autograd.grad(result, inputs, torch.ones(result.shape), allow_unused=True)
        assert audit.multiplications == 0, str(audit)
