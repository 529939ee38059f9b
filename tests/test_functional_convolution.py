"""Convolutions beside torch's: shapes, arguments and errors, and results within the error of PAM products."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree as mf
import mulfree.functional as MF
from tests.ops.support import same_bits

WORST_PRODUCT = 1 / 9
"""A PAM product is smaller than the real one by at most this share of it (section 2.7)."""

CASES: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ("conv1d", (2, 4, 9), (6, 4, 3), {}),
    ("conv1d", (4, 9), (6, 2, 3), {"groups": 2, "padding": 1, "stride": 2}),
    ("conv1d", (2, 4, 9), (6, 4, 4), {"padding": "same", "dilation": 3}),
    ("conv2d", (2, 4, 7, 8), (6, 4, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ("conv2d", (2, 4, 7, 8), (4, 1, 3, 3), {"groups": 4, "padding": "same"}),
    ("conv2d", (2, 4, 7, 8), (6, 4, 3, 3), {"padding": "valid", "dilation": (1, 2)}),
    ("conv2d", (2, 4, 7, 8), (6, 4, 3, 3), {"stride": [3], "padding": [2]}),
    ("conv2d", (0, 4, 7, 8), (6, 4, 3, 3), {}),
    ("conv3d", (1, 4, 5, 6, 4), (2, 2, 3, 2, 2), {"groups": 2, "stride": (1, 2, 1), "padding": 1}),
    ("conv3d", (2, 3, 3, 3), (4, 2, 2, 2, 2), {"padding": 1}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "output_padding": 1}),
    ("conv_transpose1d", (4, 5), (4, 3, 3), {"padding": 1}),
    ("conv_transpose2d", (2, 4, 5, 3), (4, 3, 3, 4), {"stride": (2, 3), "padding": 1, "groups": 2}),
    ("conv_transpose2d", (2, 4, 5, 3), (4, 3, 3, 2), {"dilation": 2, "stride": 3, "output_padding": 2}),
    ("conv_transpose3d", (1, 4, 3, 2, 3), (4, 2, 2, 2, 3), {"stride": 2, "padding": (0, 1, 1)}),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


def operands(input_shape: tuple[int, ...], weight_shape: tuple[int, ...], name: str, groups: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    outer = weight_shape[1] * groups if "transpose" in name else weight_shape[0]
    shapes = (input_shape, weight_shape, (outer,))
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_close_to_torch(case: tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]) -> None:
    """Each sum of products is within a ninth of the sum of their magnitudes (and the rounding of float32)."""
    name, input_shape, weight_shape, options = case
    x, weight, bias = operands(input_shape, weight_shape, name, options.get("groups", 1))
    ours, theirs = getattr(MF, name), getattr(F, name)
    result = ours(x, weight, bias, **options)
    doubles = [operand.detach().double().requires_grad_() for operand in (x, weight, bias)]
    magnitudes = [operand.detach().double().abs().requires_grad_() for operand in (x, weight, bias)]
    expected, scale = theirs(*doubles, **options), theirs(*magnitudes, **options)
    share = WORST_PRODUCT + 1e-5
    assert result.shape == expected.shape
    assert ((result - expected).abs() <= share * scale).all()
    grad = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(result, (x, weight, bias), grad)
    exact = torch.autograd.grad(expected, doubles, grad.double())
    bound = torch.autograd.grad(scale, magnitudes, grad.double().abs())
    for ours_, theirs_, limit in zip(found, exact, bound, strict=True):
        assert ours_.shape == theirs_.shape
        assert ((ours_ - theirs_).abs() <= share * limit).all()


@pytest.mark.parametrize("case", CASES, ids=IDS)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_nothing_is_multiplied(case: tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]) -> None:
    name, input_shape, weight_shape, options = case
    for derivative in ("approximate", "exact"):
        leaves = operands(input_shape, weight_shape, name, options.get("groups", 1))
        with mf.audit() as audit:
            MF.sum(getattr(MF, name)(*leaves, **options, derivative=derivative)).backward()
        assert audit.multiplications == 0, str(audit)
        assert all(leaf.grad is not None for leaf in leaves)


def test_padding_is_a_convolution_of_padded_input() -> None:
    x, weight = torch.randn(2, 3, 6, 5), torch.randn(4, 3, 3, 3)
    assert same_bits(MF.conv2d(x, weight, padding=(2, 1)), MF.conv2d(F.pad(x, (1, 1, 2, 2)), weight))
    uneven = MF.conv2d(F.pad(x, (1, 2, 0, 1)), torch.ones(1, 3, 2, 4))
    assert same_bits(MF.conv2d(x, torch.ones(1, 3, 2, 4), padding="same"), uneven)


def test_a_kernel_of_one_is_a_linear_layer() -> None:
    x, weight, bias = torch.randn(2, 300, 4, 4), torch.randn(5, 300, 1, 1), torch.randn(5)
    rows = MF.linear(x.flatten(2).mT, weight[:, :, 0, 0], bias).mT.unflatten(2, (4, 4))
    assert same_bits(MF.conv2d(x, weight, bias), rows)


def test_transposed_is_the_gradient_by_the_input() -> None:
    x, weight = torch.randn(2, 3, 9, 7, requires_grad=True), torch.randn(4, 3, 3, 3)
    result = MF.conv2d(x, weight, stride=2, padding=1)
    grad = torch.randn(result.shape)
    (by_x,) = torch.autograd.grad(result, x, grad)
    assert same_bits(by_x, MF.conv_transpose2d(grad, weight, stride=2, padding=1))


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_a_pair_chooses_for_each_operand(name: str) -> None:
    def gradients(derivative: Any) -> tuple[Tensor, ...]:
        x, weight, _ = operands((2, 4, 5, 5), (4, 4, 3, 3), name, 1)
        return torch.autograd.grad(MF.sum(getattr(MF, name)(x, weight, derivative=derivative)), (x, weight))

    approximate, exact, mixed = gradients("approximate"), gradients("exact"), gradients(("exact", "approximate"))
    assert same_bits(mixed[0], exact[0])
    assert same_bits(mixed[1], approximate[1])
    assert not same_bits(exact[0], approximate[0])


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_exact_derivative_is_the_slope(name: str) -> None:
    """A sum of piecewise affine functions: differences inside a segment. A step of 2^-12 leaves it rarely."""
    x, weight, _ = operands((1, 2, 4, 4), (2, 2, 3, 3), name, 1)
    function = getattr(MF, name)
    by_x, by_weight = torch.autograd.grad(MF.sum(function(x, weight, derivative="exact")), (x, weight))
    step = 2.0**-12
    for operand, found in ((x, by_x), (weight, by_weight)):
        slopes = torch.zeros_like(operand)
        for i in range(operand.numel()):
            moved = operand.detach().clone()
            moved.view(-1)[i] += step
            pair = (moved, weight.detach()) if operand is x else (x.detach(), moved)
            before = function(x.detach(), weight.detach()).double().sum()
            slopes.view(-1)[i] = (function(*pair).double().sum() - before) / step
        close = torch.isclose(found, slopes, rtol=1e-2, atol=1e-2)
        assert close.float().mean() > 0.9


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_gradient_of_a_gradient(name: str) -> None:
    x, weight, _ = operands((2, 4, 5, 5), (4, 4, 3, 3), name, 1)
    doubles = [operand.detach().double().requires_grad_() for operand in (x, weight)]
    seconds = []
    for function, (a, b) in ((getattr(MF, name), (x, weight)), (getattr(F, name), doubles)):
        first = torch.autograd.grad(function(function(a, b), b).sum(), (a, b), create_graph=True)
        seconds.append(torch.autograd.grad(first[0].sum() + first[1].sum(), b)[0])
    distance = (seconds[0] - seconds[1]).norm() / seconds[1].norm()
    assert distance < 0.3  # products of products are up to 1 - (8/9)**3 off


def test_plain_calls_go_straight_to_the_kernel() -> None:
    """Nothing watches, so neither the call nor its gradients pass through torch's dispatcher."""
    x, weight, bias = operands((2, 4, 5, 5), (4, 4, 3, 3), "conv2d", 1)
    for function in (MF.conv2d, MF.conv_transpose2d):
        with torch.profiler.profile() as profile:
            MF.sum(function(x, weight, bias, padding=1)).backward()
        assert not [event.name for event in profile.events() if event.name.startswith("mulfree::")]


def test_half_precision() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        x, weight, bias = (t.detach().to(dtype) for t in operands((2, 4, 5, 5), (4, 4, 3, 3), "conv2d", 1))
        result = MF.conv2d(x, weight, bias, padding=1)
        assert same_bits(result, MF.conv2d(x.float(), weight.float(), bias.float(), padding=1).to(dtype))


X, W = torch.ones(1, 4, 5, 5), torch.ones(6, 4, 3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MF.conv2d(torch.ones(4), W), "'input' must have 3 .unbatched. or 4 dimensions"),
        (lambda: MF.conv2d(X, torch.ones(6, 4, 3)), "'weight' must have 4 dimensions"),
        (lambda: MF.conv2d(X, torch.ones(6, 3, 3, 3)), "'input' must have 3 channels"),
        (lambda: MF.conv2d(X, W, torch.ones(5)), "'bias' must be .6,."),
        (lambda: MF.conv2d(X, W, stride=0), "'stride' must be at least 1"),
        (lambda: MF.conv2d(X, W, padding=-1), "'padding' must be at least 0"),
        (lambda: MF.conv2d(X, W, dilation=(1, 2, 3)), "'dilation' must be one number or 2"),
        (lambda: MF.conv2d(X, W, padding="full"), "'padding' must be 'valid', 'same' or numbers"),
        (lambda: MF.conv2d(X, W, padding="same", stride=2), "needs a stride of 1"),
        (lambda: MF.conv2d(X, torch.ones(6, 4, 7, 3)), "reaches over 7 of 5"),
        (lambda: MF.conv2d(X, torch.ones(6, 2, 3, 3), groups=4), "'groups' must divide"),
        (lambda: MF.conv_transpose2d(X, torch.ones(4, 2, 3, 3), output_padding=1), "'output_padding' must be smaller"),
        (lambda: MF.conv_transpose2d(X, torch.ones(4, 2, 3, 3), padding=5), "must not be empty"),
        (lambda: MF.conv_transpose2d(X, torch.ones(3, 2, 3, 3)), "'input' must have 3 channels"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        call()


def test_errors_of_dtypes_and_options() -> None:
    with pytest.raises(TypeError, match="must be float32, float16 or bfloat16"):
        MF.conv2d(X.double(), W.double())
    with pytest.raises(TypeError, match="must be float32 like"):
        MF.conv2d(X, W.half())
    with pytest.raises(ValueError, match="mantissa_bits"):
        MF.conv2d(X, W, mantissa_bits=0)
    with pytest.raises(ValueError, match="derivative"):
        MF.conv2d(X, W, derivative="rough")  # type: ignore[arg-type]
