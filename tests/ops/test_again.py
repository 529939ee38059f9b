"""Gradients of gradients: right where they exist, an error where they do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import mulfree.functional as MF
from tests.ops.support import same_bits


def twice(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(function(x), x, torch.ones_like(x), create_graph=True)
    (second,) = torch.autograd.grad(first, x, torch.ones_like(x))
    return second


SECOND = {
    "exp2": lambda x: torch.exp2(x) * 0.4805,
    "log2": lambda x: -1.4427 / x**2,
    "exp": torch.exp,
    "log": lambda x: -1 / x**2,
    "sqrt": lambda x: -0.25 * x**-1.5,
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivative_of_functions(name: str) -> None:
    """Within 40 %: three PA operations in a row may each be 12.5 % off."""
    x = torch.tensor([0.4, 1.0, 1.7, 3.0])
    assert torch.allclose(twice(getattr(MF, name), x), SECOND[name](x), rtol=0.4)


def test_second_derivative_of_a_cube() -> None:
    """mul is exact at powers of two: 6 x."""
    x = torch.tensor([0.5, 1.0, -2.0])
    assert same_bits(twice(lambda v: MF.mul(MF.mul(v, v), v), x), 6 * x)


def test_second_derivative_of_a_reciprocal() -> None:
    x = torch.tensor([0.5, 1.0, -2.0])
    assert same_bits(twice(lambda v: MF.div(1.0, v), x), 2 / x**3)


def test_second_derivative_of_a_product_of_matrices() -> None:
    a = torch.tensor([[1.0, 2.0], [-0.5, 4.0]])
    x = a.clone().requires_grad_()
    (first,) = torch.autograd.grad(MF.sum(MF.matmul(x, MF.matmul(x, x))), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    y = a.clone().requires_grad_()
    (expected,) = torch.autograd.grad((y @ y @ y).sum(), y, create_graph=True)
    assert torch.allclose(second, torch.autograd.grad(expected.sum(), y)[0], rtol=0.25)


@pytest.mark.parametrize("operation", [MF.mul, MF.div])
def test_exact_slope_is_constant_but_scales_the_gradient(operation: Callable[..., Tensor]) -> None:
    x, delta = torch.tensor([1.3]).requires_grad_(), torch.tensor([1.0]).requires_grad_()
    y = operation(x, 3.3, derivative="exact")
    (first,) = torch.autograd.grad(y, x, delta, create_graph=True)
    by_delta, by_x = torch.autograd.grad(first, (delta, x), torch.ones(1), allow_unused=True)
    assert same_bits(by_delta, first)
    assert by_x is None


@pytest.mark.parametrize(
    "function",
    [MF.gelu, lambda x: MF.softmax(x, -1), lambda x: MF.layer_norm(x, (4,)), lambda x: MF.log_softmax(x, -1)],
)
def test_fused_rows_refuse(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(RuntimeError, match="has no derivative"):
        twice(function, torch.tensor([0.4, 1.0, 1.7, 3.0]))
