"""Special values, operations in place, selections and errors of the activation functions and elementwise extras."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree as mf
import mulfree.functional as MF
from tests.ops.support import same_bits

INF, NAN = math.inf, math.nan
SPECIALS = torch.tensor([INF, -INF, NAN, 0.0, -0.0])
X = torch.tensor([[-3.0, -0.5, 0.0, 0.5, 3.0, 7.0], [1.0, -1.0, 2.0, -2.0, 25.0, -25.0]])

ACTIVATIONS = ["silu", "mish", "elu", "celu", "selu", "leaky_relu", "hardsigmoid", "hardswish", "rrelu"]
ONE_OPERAND = ["sigmoid", "tanh", "logsigmoid", "softplus", "softsign", "tanhshrink", *ACTIVATIONS]
ONE_OPERAND += ["square", "reciprocal", "abs", "log10", "log1p", "expm1", "sinh", "cosh"]


def gradient(function: Callable[..., Tensor], *operands: Tensor) -> tuple[Tensor, ...]:
    inputs = [x.clone().requires_grad_() for x in operands]
    result = function(*inputs)
    found = torch.autograd.grad(result, inputs, torch.ones_like(result), allow_unused=True)
    return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(operands, found, strict=True))


DIFFERENCES = ["elu", "celu", "selu", "log1p", "expm1", "sinh", "tanhshrink"]
"""Functions that subtract: a zero difference is +0."""


@pytest.mark.parametrize("name", ONE_OPERAND)
def test_special_values_are_torchs(name: str) -> None:
    """Infinities and NaN, and zeros with their sign; finite values are off by one quotient, up to 1/8, at most."""
    theirs = getattr(torch, name, None) or getattr(F, name)
    found, expected = getattr(MF, name)(SPECIALS), theirs(SPECIALS)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.isinf(), expected.isinf())
    assert torch.allclose(found, expected, rtol=0.125, atol=0, equal_nan=True)
    if name not in DIFFERENCES:
        number = ~expected.isnan()
        assert torch.equal(found.signbit()[number], expected.signbit()[number])


@pytest.mark.parametrize("derivative", ["approximate", "exact"])
@pytest.mark.parametrize("name", ["sigmoid", "silu", "tanh", "gelu", "softplus", "logsigmoid", "mish", "elu", "celu"])
def test_gradients_are_finite_far_from_zero(name: str, derivative: Any) -> None:
    """Where exp(-x) is infinite, the gradient is zero, not zero times infinity. (GELU cubes its operand.)"""
    x = torch.tensor(
        [
            -1e4 if name == "gelu" else -1e30,
            -1e4,
            -500.0,
            -100.0,
            -88.5,
            -60.0,
            -44.5,
            -20.0,
            20.0,
            44.5,
            88.5,
            100.0,
            1e4,
        ]
    )
    (found,) = gradient(lambda v: getattr(MF, name)(v, derivative=derivative), x)
    (expected,) = gradient(getattr(F, name), x)
    assert torch.allclose(found, expected, rtol=0.15, atol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_in_place(name: str) -> None:
    function = getattr(MF, name)
    x = X.clone().requires_grad_()
    y = MF.mul(x, 2.0)
    result = function(y, inplace=True)
    assert result is y
    assert same_bits(result, function(2 * X))
    (by_x,) = torch.autograd.grad(result, x, torch.ones_like(x))
    (expected,) = gradient(lambda v: function(MF.mul(v, 2.0)), X)
    assert same_bits(by_x, expected)


def test_symmetry_and_ends() -> None:
    x = torch.linspace(-12, 12, 1001)
    assert same_bits(MF.tanh(-x[x != 0]), -MF.tanh(x[x != 0]))
    assert MF.tanh(torch.tensor(20.0)) == 1.0
    assert MF.sigmoid(torch.tensor(0.0)) == 0.5
    assert MF.sigmoid(torch.tensor([40.0, -100.0])).tolist() == [1.0, 0.0]
    for function in (MF.tanh, MF.sigmoid):
        assert (function(x).diff() >= 0).all()
    assert MF.softplus(torch.tensor([50.0, -INF])).tolist() == [50.0, 0.0]
    assert MF.hardswish(torch.tensor([-4.0, 4.0])).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2)], ids=str)
@pytest.mark.parametrize("name", [*ONE_OPERAND, "erf", "rsqrt"])
def test_empty_and_without_dimensions(name: str, shape: tuple[int, ...]) -> None:
    assert getattr(MF, name)(torch.ones(shape)).shape == shape


def test_strided_operands() -> None:
    x = torch.randn(6, 5).mT[::2]
    for name in ONE_OPERAND:
        assert same_bits(getattr(MF, name)(x), getattr(MF, name)(x.contiguous()))


def test_slopes_of_rrelu_are_within_their_bounds() -> None:
    torch.manual_seed(0)
    x = -torch.ones(4000)
    with mf.audit() as audit:
        slopes = -MF.rrelu(x, 0.25, 0.5, training=True)
    assert audit.multiplications == 0
    assert float(slopes.min()) >= 0.25
    assert float(slopes.max()) <= 0.5
    assert abs(float(slopes.mean()) - 0.375) < 0.02
    assert same_bits(MF.rrelu(x.abs(), training=True), x.abs())


def test_prelu_of_one_dimension_and_none() -> None:
    for x in (torch.tensor([-2.0, 4.0]), torch.tensor(-2.0)):
        for weight in (torch.tensor([0.25]), torch.tensor(0.25)):
            assert same_bits(MF.prelu(x, weight), F.prelu(x, weight))
    assert MF.prelu(torch.tensor([-2.0]), torch.tensor([0.25])).shape == (1,)


TIES = (torch.tensor([1.0, 2.0, 1.0, NAN, 1.0, NAN, INF, -0.0]), torch.tensor([1.0, 1.0, 2.0, 1.0, NAN, NAN, INF, 0.0]))


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_selections_of_two_are_torchs(name: str) -> None:
    ours, theirs = getattr(MF, name), getattr(torch, name)
    for operands in (TIES, tuple(x.half() for x in TIES), (TIES[0], TIES[1][1]), (TIES[0][:, None], TIES[1])):
        assert same_bits(ours(*operands), theirs(*operands))
        for mine, other in zip(gradient(ours, *operands), gradient(theirs, *operands), strict=True):
            assert torch.equal(mine, other)


@pytest.mark.parametrize("name", ["amax", "amin"])
@pytest.mark.parametrize("dim", [0, -1, (0, 1), ()], ids=str)
@pytest.mark.parametrize("keepdim", [True, False])
def test_selections_along_dimensions_are_torchs(name: str, dim: Any, keepdim: bool) -> None:
    x = torch.tensor([[1.0, 2.0, 2.0, -1.0], [2.0, -1.0, -1.0, -1.0], [0.0, 2.0, 0.0, 2.0]])
    ours, theirs = (lambda v, f=f: f(v, dim, keepdim) for f in (getattr(MF, name), getattr(torch, name)))
    assert same_bits(ours(x), theirs(x))
    # Numbers of ties with an odd factor: a PA quotient, up to 1/8 too large.
    assert torch.allclose(gradient(ours, x)[0], gradient(theirs, x)[0], rtol=0.125, atol=0)


def test_selections_of_tensors_without_dimensions() -> None:
    x = torch.tensor(3.0)
    assert MF.amax(x) == 3.0
    assert gradient(MF.amax, x)[0] == 1.0


def test_abs() -> None:
    x = torch.tensor([1.0, -2.0, 0.0, -0.0, -INF, NAN])
    assert same_bits(MF.abs(x), torch.abs(x))
    assert torch.equal(gradient(MF.abs, x)[0][:5], gradient(torch.abs, x)[0][:5])


def test_clamp_with_tensors() -> None:
    x = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, NAN, 1.0, 5.0])
    low = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, NAN, 6.0])
    high = torch.tensor([3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 2.0])
    assert torch.equal(MF.clamp(x, low, high).nan_to_num(-7), torch.clamp(x, low, high).nan_to_num(-7))
    assert same_bits(MF.clamp(x, max=2.5), torch.clamp(x, max=2.5))
    assert torch.equal(MF.clamp(x, 1.5, high)[:5], torch.clamp(x, torch.tensor(1.5), high)[:5])
    keep = torch.tensor([0, 1, 2, 3, 4, 7])
    operands = x[keep], low[keep], high[keep]
    for mine, other in zip(gradient(MF.clamp, *operands), gradient(torch.clamp, *operands), strict=True):
        assert torch.equal(mine, other)


def test_multiplications_of_selections() -> None:
    x, y = X.clone().requires_grad_(), X.flip(0).clone().requires_grad_()
    with mf.audit() as audit:
        results = [MF.maximum(x, y), MF.fmin(x, y), MF.clamp(x, y, y + 1), MF.abs(x)]
        results += [MF.amax(x, 0), MF.amin(x), MF.vector_norm(x, INF), MF.vector_norm(x, 1), MF.softmin(x, 1)]
        for result in results:
            torch.autograd.grad(result, x, torch.ones(result.shape))
    assert audit.multiplications == 0


def test_numbers_as_operands() -> None:
    x = torch.tensor([1.0, -2.0])
    assert same_bits(MF.add(x, 2.0, alpha=3), x + 6)
    assert same_bits(MF.sub(2.0, x), 2 - x)
    assert same_bits(MF.rsub(x, 2.0, alpha=4), 2 - 4 * x)
    assert same_bits(MF.add(x.half(), torch.tensor(2.0)), x.half() + 2)


@pytest.mark.parametrize("mode", [None, "floor", "trunc"])
def test_rounded_quotients(mode: Any) -> None:
    a, b = torch.tensor([7.0, -7.0, 9.0, 6.0]), torch.tensor([2.0, 2.0, -4.0, 3.0])
    assert same_bits(MF.div(a, b, rounding_mode=mode), torch.div(a, b, rounding_mode=mode))
    if mode is not None:
        assert not any(g.any() for g in gradient(lambda x, y: MF.div(x, y, rounding_mode=mode), a, b))


def test_logaddexp_of_infinities() -> None:
    a, b = torch.tensor([INF, -INF, INF, -INF, NAN, 1.0]), torch.tensor([INF, -INF, -INF, 2.0, 1.0, -INF])
    for name in ("logaddexp", "logaddexp2"):
        found, expected = getattr(MF, name)(a, b), getattr(torch, name)(a, b)
        assert torch.equal(found.isnan(), expected.isnan())
        assert torch.equal(found.nan_to_num(0)[:4], expected.nan_to_num(0)[:4])
        assert all(g[5].isfinite() for g in gradient(getattr(MF, name), a, b))


def test_softmin_chooses_its_dimension_like_torch() -> None:
    for shape in ((4,), (2, 4), (2, 3, 4), (2, 3, 4, 5)):
        x = torch.zeros(shape)
        with pytest.warns(UserWarning, match="Implicit dimension"):
            expected = F.softmin(x)
        assert torch.allclose(MF.softmin(x), expected, rtol=0.125)


WHOLE = torch.ones(2, 4, dtype=torch.int64)
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: MF.sigmoid(WHOLE), TypeError, r"sigmoid.*int64"),
    (lambda: MF.softplus(X.double()), TypeError, r"softplus.*float64"),
    (lambda: MF.erf([1.0]), TypeError, r"erf.*must be a tensor"),  # type: ignore[arg-type]
    (lambda: MF.silu(X, derivative="analytic"), ValueError, "'approximate' or 'exact'"),  # type: ignore[arg-type]
    (lambda: MF.glu(X[:, :3]), RuntimeError, "must be even, got 3"),
    (lambda: MF.glu(X, 2), IndexError, "dim"),
    (lambda: MF.prelu(X, torch.ones(5)), RuntimeError, "one for each of 6 channels, got 5"),
    (lambda: MF.prelu(X, torch.ones(2, 3)), RuntimeError, "scalar or a vector"),
    (lambda: MF.celu(X, 0.0), RuntimeError, "'alpha' must not be 0"),
    (lambda: MF.add(X, WHOLE), TypeError, "int64"),
    (lambda: MF.add(1.0, 2.0), TypeError, "must be a tensor"),
    (lambda: MF.maximum(X, X.half()), TypeError, r"maximum.*float16"),
    (lambda: MF.maximum(X, torch.ones(5)), RuntimeError, "size|shape"),
    (lambda: MF.amax(X, 2), IndexError, "dim"),
    (lambda: MF.clamp(X), RuntimeError, "at least one"),
    (lambda: MF.div(X, X, rounding_mode="up"), RuntimeError, "'floor' or 'trunc', got 'up'"),  # type: ignore[arg-type]
    (lambda: MF.hypot(X, X.to(torch.complex64)), TypeError, "complex64"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
