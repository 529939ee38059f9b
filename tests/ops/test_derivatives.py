"""Exact derivatives against differences inside a segment, approximate ones against their formula."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.functional import Derivative
from mulfree.numerics import rows, scalar
from tests.ops.support import floats, same_bits, words

POINTS = torch.tensor([0.3, 0.8, 1.3, 2.6, 5.2])
STEP = 2.0**-10
"""The points are further than this from the ends of their segments."""


def gradient(function: Callable[..., Tensor], *operands: Tensor) -> tuple[Tensor, ...]:
    inputs = [x.clone().requires_grad_() for x in operands]
    return torch.autograd.grad(function(*inputs), inputs, torch.ones(()).expand_as(function(*inputs)))


def slopes(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return (function(x + STEP) - function(x)).double() / STEP


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("operation", [MF.mul, MF.div])
def test_exact_slopes_of_two_operands(operation: Callable[..., Tensor], signs: tuple[int, int]) -> None:
    a, b = torch.meshgrid(POINTS * signs[0], (POINTS + 0.06) * signs[1], indexing="ij")
    by_a, by_b = gradient(lambda x, y: operation(x, y, derivative="exact"), a, b)
    assert torch.allclose(by_a.double(), slopes(lambda x: operation(x, b), a), rtol=1e-3)
    assert torch.allclose(by_b.double(), slopes(lambda y: operation(a, y), b), rtol=1e-3)


@pytest.mark.parametrize("function", [MF.exp2, MF.log2, MF.exp, MF.log, MF.sqrt])
def test_exact_slopes_of_one_operand(function: Callable[..., Tensor]) -> None:
    (found,) = gradient(lambda x: function(x, derivative="exact"), POINTS)
    assert torch.allclose(found.double(), slopes(function, POINTS), rtol=2e-3)


def test_a_pair_chooses_for_each_operand() -> None:
    a, b = torch.tensor([1.3, -2.7]), torch.tensor([0.9, 3.3])
    for operation in (MF.mul, MF.div, lambda x, y, **o: MF.matmul(x[None], y[:, None], **o)):
        approximate = gradient(operation, a, b)
        exact = gradient(lambda x, y, f=operation: f(x, y, derivative="exact"), a, b)
        mixed = gradient(lambda x, y, f=operation: f(x, y, derivative=("exact", "approximate")), a, b)
        assert same_bits(mixed[0], exact[0])
        assert same_bits(mixed[1], approximate[1])
        assert not same_bits(exact[0], approximate[0])


def test_approximate_formulas() -> None:
    a, b, delta = torch.tensor([1.3, -2.7]), torch.tensor([0.9, 3.3]), torch.tensor([0.7, -1.9])
    x, y = a.clone().requires_grad_(), b.clone().requires_grad_()
    by_a, by_b = torch.autograd.grad(MF.mul(x, y, compensation=1.2), (x, y), delta)
    assert same_bits(by_a, MF.mul(b, delta, compensation=1.2))
    assert same_bits(by_b, MF.mul(a, delta, compensation=1.2))
    by_a, by_b = torch.autograd.grad(MF.div(x, y), (x, y), delta)
    assert same_bits(by_a, MF.div(delta, b))
    assert same_bits(by_b, -MF.div(MF.mul(a, delta), MF.mul(b, b)))


def test_gradients_of_broadcast_operands_are_summed_in_order() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(70, 40), torch.randn(40)
    by_a, by_b = gradient(lambda x, y: MF.mul(x, y, derivative="exact"), a, b)
    terms = [[scalar.mul_grad(scalar.bits(1.0), v, u) for u, v in zip(words(row), words(b), strict=True)] for row in a]
    assert words(by_b) == [rows.total(column) for column in zip(*terms, strict=True)]
    assert by_a.shape == a.shape
    (by_scalar,) = gradient(lambda s: MF.mul(a, s), torch.tensor(2.0))
    assert words(by_scalar) == [rows.total(words(a))]


ROW = torch.tensor([0.3, -1.7, 2.9, 0.05, -0.4, 1.1])
DELTA = torch.tensor([0.7, -1.3, 0.2, 1.9, -0.6, 0.11])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rows_are_those_of_the_law(name: str, exact: bool) -> None:
    derivative: Derivative = "exact" if exact else "approximate"
    x = ROW.clone().requires_grad_()
    result = getattr(MF, name)(x, -1, derivative=derivative)
    assert words(result) == getattr(rows, name)(words(x))
    (found,) = torch.autograd.grad(result, x, DELTA)
    assert words(found) == getattr(rows, f"{name}_grad")(words(DELTA), words(x), exact)


def softmax_composed(x: Tensor, derivative: Derivative) -> Tensor:
    z = MF.mul(x, scalar.value(rows.LOG2E), derivative=derivative)
    e = MF.exp2(z - z.detach().max().floor(), derivative=derivative)
    return MF.div(e, MF.sum(e), derivative=derivative)


def gelu_composed(x: Tensor, derivative: Derivative) -> Tensor:
    cube = MF.mul(MF.mul(x, x, derivative=derivative), x, derivative=derivative)
    inner = x + MF.mul(cube, scalar.value(rows.GELU_CUBIC), derivative=derivative)
    u = MF.mul(inner, scalar.value(rows.GELU_SCALE), derivative=derivative)
    return MF.div(x, 1.0 + MF.exp(-u, derivative=derivative), derivative=derivative)


def exp_composed(x: Tensor, derivative: Derivative) -> Tensor:
    return MF.exp2(MF.mul(x, scalar.value(rows.LOG2E), derivative=derivative), derivative=derivative)


def log_composed(x: Tensor, derivative: Derivative) -> Tensor:
    return MF.div(MF.log2(x, derivative=derivative), scalar.value(rows.LOG2E), derivative=derivative)


def sqrt_composed(x: Tensor, derivative: Derivative) -> Tensor:
    return MF.exp2(MF.div(MF.log2(x, derivative=derivative), 2.0, derivative=derivative), derivative=derivative)


@pytest.mark.parametrize("derivative", ["approximate", "exact"])
@pytest.mark.parametrize(
    ("fused", "composed"),
    [
        (lambda x, d: MF.softmax(x, -1, derivative=d), softmax_composed),
        (lambda x, d: MF.exp(x, derivative=d), exp_composed),
        (lambda x, d: MF.log(x.abs(), derivative=d), lambda x, d: log_composed(x.abs(), d)),
        (lambda x, d: MF.sqrt(x.abs(), derivative=d), lambda x, d: sqrt_composed(x.abs(), d)),
    ],
)
def test_fused_operations_are_their_composition(
    fused: Callable[[Tensor, Derivative], Tensor],
    composed: Callable[[Tensor, Derivative], Tensor],
    derivative: Derivative,
) -> None:
    x = ROW.clone().requires_grad_()
    results = fused(x, derivative), composed(x, derivative)
    assert same_bits(*results)
    gradients = [torch.autograd.grad(result, x, DELTA)[0] for result in results]
    assert same_bits(*gradients)


def test_gelu_is_its_composition_up_to_the_order_of_additions() -> None:
    """The result bit for bit; autograd adds the four terms of the gradient in another order than the law."""
    for derivative in ("approximate", "exact"):
        x = ROW.clone().requires_grad_()
        fused, composed = MF.gelu(x, derivative=derivative), gelu_composed(x, derivative)
        assert same_bits(fused, composed)
        by_fused, by_composed = (torch.autograd.grad(result, x, DELTA)[0] for result in (fused, composed))
        assert torch.allclose(by_fused, by_composed, rtol=0, atol=2.0**-20)


@pytest.mark.parametrize("exact", [False, True])
def test_matrix_product_is_the_law(exact: bool) -> None:
    torch.manual_seed(1)
    a, b = torch.randn(3, 5, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    delta = torch.randn(3, 4)
    offset = scalar.compensation_offset(scalar.bits(1.25))
    result = MF.matmul(a, b, derivative="exact" if exact else "approximate", mantissa_bits=6, compensation=1.25)
    for i in range(3):
        for j in range(4):
            assert words(result[i, j]) == [rows.dot(words(a[i]), words(b[:, j]), 6, offset)]
    by_a, by_b = torch.autograd.grad(result, (a, b), delta)
    for i in range(3):
        for k in range(5):
            if exact:
                expected = rows.dot_grad(words(a[i, k])[0], words(b[k]), words(delta[i]), 6, offset)
            else:
                expected = rows.dot(words(delta[i]), words(b[k]), 6, offset)
            assert words(by_a[i, k]) == [expected]
    for k in range(5):
        for j in range(4):
            if exact:
                expected = rows.dot_grad(words(b[k, j])[0], words(a[:, k]), words(delta[:, j]), 6, offset)
            else:
                expected = rows.dot(words(a[:, k]), words(delta[:, j]), 6, offset)
            assert words(by_b[k, j]) == [expected]


def test_leading_dimensions_fold_into_rows() -> None:
    """With a right operand of two dimensions its gradient is one dot product over all rows."""
    torch.manual_seed(2)
    a, b, delta = torch.randn(4, 90, 3), torch.randn(3, 2), torch.randn(4, 90, 2)
    flat = gradient(lambda x, y: MF.mul(MF.matmul(x, y), delta.view(-1, 2)), a.view(-1, 3), b)
    batched = gradient(lambda x, y: MF.mul(MF.matmul(x, y), delta), a, b)
    assert same_bits(flat[1], batched[1])
    linear = gradient(lambda x, y: MF.mul(MF.linear(x, y), delta), a, b.mT)
    assert same_bits(linear[1], batched[1].mT)
    assert same_bits(linear[0], batched[0])


def test_broadcast_batches_are_summed_in_order() -> None:
    torch.manual_seed(3)
    a, b = torch.randn(40, 2, 3), torch.randn(1, 3, 2)
    _, by_b = gradient(MF.matmul, a, b)
    separate = torch.stack([gradient(MF.matmul, matrix, b[0])[1] for matrix in a])
    assert same_bits(by_b[0], MF.sum(separate, 0))


def test_special_values_reach_the_gradient() -> None:
    (by_zero,) = gradient(lambda x: MF.mul(x, 3.0, derivative="exact"), torch.zeros(1))
    assert by_zero.item() == 2.0  # mantissa field 0: the slope of the segment that starts at a power of two
    nan = floats([scalar.NAN])
    assert gradient(lambda x: MF.mul(x, 3.0, derivative="exact"), nan)[0].isnan().all()
