"""Batch norm by the law, running statistics, memory formats; signatures of the moments and norms; errors."""

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
from mulfree.numerics import norms, rows, scalar
from tests.ops.support import same_bits, words

GENERATOR = torch.Generator().manual_seed(8)
X = torch.randn(5, 7, generator=GENERATOR)
IMAGES = torch.randn(3, 4, 5, 6, generator=GENERATOR)
WEIGHT, BIAS = torch.rand(4, generator=GENERATOR) + 0.5, torch.randn(4, generator=GENERATOR)


def channel_words(x: Tensor) -> list[list[int]]:
    return [words(row) for row in x.transpose(0, 1).flatten(1)]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3), (3, 4, 5, 6), (2, 4, 2, 3, 2)], ids=str)
def test_batch_norm_is_the_law(shape: tuple[int, ...], exact: bool) -> None:
    torch.manual_seed(0)
    x, delta = torch.randn(shape, requires_grad=True), torch.randn(shape)
    weight, bias = WEIGHT.clone().requires_grad_(), BIAS.clone().requires_grad_()
    result = MF.batch_norm(x, None, None, weight, bias, True, 0.1, 1e-3, derivative="exact" if exact else "approximate")
    gradients = torch.autograd.grad(result, (x, weight, bias), delta)
    each = zip(channel_words(x), channel_words(delta), words(weight), words(bias), strict=True)
    for channel, (row, grad, w, b) in enumerate(each):
        assert words(result.transpose(0, 1)[channel]) == norms.batch_norm(row, w, b, 1e-3)
        by_row, by_weight, by_bias = norms.batch_norm_grad(grad, row, w, 1e-3, exact)
        assert words(gradients[0].transpose(0, 1)[channel]) == by_row
        assert words(gradients[1][channel]) == [by_weight]
        assert words(gradients[2][channel]) == [by_bias]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_running_statistics_are_the_law(dtype: torch.dtype) -> None:
    mean, variance = torch.randn(4), torch.rand(4) + 0.5
    before = words(mean), words(variance)
    x = IMAGES.to(dtype)
    with mf.audit() as audit:
        MF.batch_norm(x, mean, variance, WEIGHT, BIAS, True, 0.3)
    assert audit.multiplications == 0
    momentum = scalar.bits(0.3)
    for channel, row in enumerate(channel_words(x)):
        new = norms.moments(row)
        assert words(mean[channel]) == [norms.running(before[0][channel], new[0], momentum)]
        assert words(variance[channel]) == [norms.running(before[1][channel], new[1], momentum)]


@pytest.mark.parametrize("level", [1.0, 1.25, 1.5, 1.9, 3.7])
def test_running_statistics_settle_at_those_of_the_batches(level: float) -> None:
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) * level
    mean, variance = torch.zeros(2), torch.ones(2)
    settled = torch.zeros(2), torch.zeros(2)
    MF.batch_norm(x, *settled, training=True, momentum=1.0)
    for _ in range(300):
        MF.batch_norm(x, mean, variance, training=True)
    assert torch.allclose(mean, settled[0], rtol=1e-5)
    assert torch.allclose(variance, settled[1], rtol=1e-5)


def test_running_statistics_are_near_torchs() -> None:
    ours, theirs = ([torch.randn(4), torch.rand(4) + 0.5] for _ in range(2))
    theirs = [x.clone() for x in ours]
    for _ in range(5):
        MF.batch_norm(IMAGES, *ours, training=True)
        F.batch_norm(IMAGES, *theirs, training=True)
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, rtol=0.25, atol=0.05)


def test_batch_norm_changes_statistics_in_training_only() -> None:
    mean, variance = torch.zeros(4), torch.ones(4)
    MF.batch_norm(IMAGES, mean, variance)
    assert same_bits(mean, torch.zeros(4))
    assert same_bits(variance, torch.ones(4))
    MF.batch_norm(torch.empty(0, 4, 3), mean, variance, training=True)
    assert same_bits(variance, torch.ones(4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dims", [4, 5])
def test_channels_last_stays_and_changes_no_bit(dims: int, dtype: torch.dtype) -> None:
    x = torch.randn((3, 4, 5, 6, 2)[:dims]).to(dtype)
    layout = torch.channels_last if dims == 4 else torch.channels_last_3d
    last = x.contiguous(memory_format=layout)
    plain_in, last_in = x.clone().requires_grad_(), last.clone().requires_grad_()
    plain, other = (MF.batch_norm(v, None, None, WEIGHT, BIAS, True) for v in (plain_in, last_in))
    assert other.is_contiguous(memory_format=layout)
    assert same_bits(plain, other)
    delta = torch.randn(x.shape).to(dtype)
    gradients = [torch.autograd.grad(y, v, delta)[0] for y, v in ((plain, plain_in), (other, last_in))]
    assert same_bits(*gradients)


def test_parameters_may_be_float32_beside_half_precision() -> None:
    x = IMAGES.half().requires_grad_()
    weight, bias = WEIGHT.clone().requires_grad_(), BIAS.clone().requires_grad_()
    result = MF.batch_norm(x, None, None, weight, bias, True)
    assert result.dtype is torch.float16
    result.sum().backward()
    assert x.grad is not None and weight.grad is not None
    assert (x.grad.dtype, weight.grad.dtype) == (torch.float16, torch.float32)
    half = MF.batch_norm(x, None, None, WEIGHT.half(), BIAS.half(), True)
    assert half.dtype is torch.float16


def test_strides_and_threads_change_no_bit() -> None:
    x = torch.randn(6, 5, 40, 4).transpose(1, 3)
    torch.set_num_threads(1)
    one = MF.batch_norm(x, None, None, training=True)
    torch.set_num_threads(2)
    assert same_bits(one, MF.batch_norm(x.contiguous(), None, None, training=True))


def test_group_norm_is_layer_norm_of_groups() -> None:
    found = MF.group_norm(IMAGES, 2, WEIGHT, BIAS)
    normal = MF.layer_norm(IMAGES.reshape(6, 60), (60,)).view(IMAGES.shape)
    assert same_bits(found, MF.mul(normal, WEIGHT.view(1, 4, 1, 1)) + BIAS.view(1, 4, 1, 1))
    assert MF.group_norm(torch.empty(0, 4, 3), 2).shape == (0, 4, 3)


def test_instance_norm_keeps_running_statistics() -> None:
    mean, variance = torch.zeros(4), torch.ones(4)
    MF.instance_norm(IMAGES, mean, variance, momentum=0.5)
    expected = [torch.zeros(4), torch.ones(4)]
    F.instance_norm(IMAGES, *expected, momentum=0.5)
    assert torch.allclose(mean, expected[0], rtol=0.25, atol=0.02)
    assert torch.allclose(variance, expected[1], rtol=0.25)
    by_statistics = MF.instance_norm(IMAGES, mean, variance, WEIGHT, BIAS, False)
    assert same_bits(by_statistics, MF.batch_norm(IMAGES, mean, variance, WEIGHT, BIAS))


@pytest.mark.parametrize(
    "arguments",
    [
        ((), {}),
        ((1,), {}),
        ((-1, False), {}),
        ((1, True, True), {}),
        ((False,), {}),
        (((0, 1),), {"correction": 2}),
        ((), {"dim": [0], "keepdim": True}),
        (((),), {"correction": 0}),
        ((None,), {"correction": 0, "keepdim": True}),
    ],
    ids=str,
)
def test_signatures_of_the_moments(arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    """Every way that torch's functions are called; a quotient is up to 1/8 too large, a square up to 1/9 too small."""
    positional, named = arguments
    for name in ("var", "std", "var_mean", "std_mean"):
        found, expected = (getattr(library, name)(X, *positional, **named) for library in (MF, torch))
        pairs = zip(found, expected, strict=True) if name.endswith("mean") else [(found, expected)]
        for mine, other in pairs:
            assert mine.shape == other.shape
            assert torch.allclose(mine, other, rtol=0.2, atol=0.02)


def test_moments_of_too_few_numbers() -> None:
    assert MF.var(torch.tensor([3.0])).isnan()
    assert MF.std(torch.tensor(3.0)).isnan()
    assert MF.var(torch.empty(0, 2), 0).isnan().all()


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, 2.5, math.inf, -math.inf])
@pytest.mark.parametrize("dim", [None, 1, (0, 1)], ids=str)
@pytest.mark.parametrize("keepdim", [True, False])
def test_vector_norms(p: float, dim: Any, keepdim: bool) -> None:
    found, expected = (f(X, p, dim, keepdim) for f in (MF.vector_norm, torch.linalg.vector_norm))
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=0.26)
    assert same_bits(MF.norm(X, p, dim, keepdim), found)


@pytest.mark.parametrize("derivative", ["approximate", "exact"])
@pytest.mark.parametrize("p", [1, 2, 3, 2.5, math.inf])
def test_norm_of_zeros_has_no_gradient(p: float, derivative: Any) -> None:
    x = torch.zeros(3, 4, requires_grad=True)
    result = MF.vector_norm(x, p, 1, derivative=derivative)
    assert same_bits(result, torch.zeros(3))
    (found,) = torch.autograd.grad(result, x, torch.ones(3))
    assert torch.equal(found, torch.zeros(3, 4))


def test_a_zero_among_others_has_a_finite_gradient() -> None:
    x = torch.tensor([0.0, 2.0, -1.0], requires_grad=True)
    for p in (1.5, 3.0):
        (found,) = torch.autograd.grad(MF.vector_norm(x, p), x)
        assert found.isfinite().all()
        assert found[0] == 0


def test_deviation_of_equal_numbers_has_no_gradient() -> None:
    x = torch.full((4,), 3.0, requires_grad=True)
    (found,) = torch.autograd.grad(MF.std(x), x)
    assert torch.equal(found, torch.zeros(4))


def test_normalize() -> None:
    x = torch.zeros(2, 3)
    assert same_bits(MF.normalize(x), x)
    assert torch.allclose(MF.normalize(X, 1.0, 0), F.normalize(X, 1.0, 0), rtol=0.13)


def test_products() -> None:
    x = torch.tensor([[1.0, -2.0, 4.0], [0.5, 0.0, 8.0]])
    for arguments in ((), (0,), (1,), (-1, True)):
        assert torch.equal(MF.prod(x, *arguments), torch.prod(x, *arguments))
    y = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(MF.prod(y, 1), y, torch.ones(2))
    assert torch.equal(found, torch.tensor([[-8.0, 4.0, -2.0], [0.0, 4.0, 0.0]]))
    assert torch.equal(MF.prod(torch.empty(2, 0), 1), torch.ones(2))
    assert MF.prod(torch.tensor(3.0)) == MF.prod(torch.tensor(3.0), 0) == 3.0
    row = [scalar.bits(v) for v in (1.1, 1.3, 0.7, 2.9, 1.9)]
    paired = [scalar.mul(row[0], row[3]), scalar.mul(row[1], row[4]), row[2]]
    expected = scalar.mul(scalar.mul(paired[0], paired[2]), paired[1])
    assert words(MF.prod(torch.tensor([scalar.value(w) for w in row]))) == [expected]


def test_means() -> None:
    x = torch.tensor([[1.0, math.nan, 3.0], [5.0, 7.0, math.nan]])
    assert same_bits(MF.nanmean(x, 1), torch.tensor([2.0, 6.0]))
    assert same_bits(MF.nanmean(x), torch.tensor(4.0))
    half = X.half()
    assert same_bits(MF.mean(half, 0, dtype=torch.float32), MF.mean(half.float(), 0))
    assert same_bits(MF.sum(half, dtype=torch.float32), MF.sum(half.float()))


def test_rms_norm_by_the_law() -> None:
    x, weight = torch.randn(3, 8), torch.rand(8) + 0.5
    found = MF.rms_norm(x, (8,), weight, 1e-3)
    for row, result in zip(x, found, strict=True):
        squares = [scalar.mul(w, w) for w in words(row)]
        root = rows.sqrt(scalar.add(rows.mean(squares), scalar.bits(1e-3)))
        expected = [scalar.mul(scalar.div(w, root), f) for w, f in zip(words(row), words(weight), strict=True)]
        assert words(result) == expected
    both = MF.rms_norm(x.view(3, 2, 4), (2, 4), weight.view(2, 4), 1e-3)
    assert same_bits(both.view(3, 8), found)


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: MF.batch_norm(X[:1], None, None, training=True), ValueError, "more than 1 value per channel"),
    (lambda: MF.batch_norm(X, None, None), RuntimeError, "'running_mean' and 'running_var' must be given"),
    (lambda: MF.batch_norm(X[0], None, None, training=True), RuntimeError, r"'input' must be \(batch, channels"),
    (lambda: MF.batch_norm(X, None, None, WEIGHT, training=True), RuntimeError, r"'weight' must be \(7,\)"),
    (lambda: MF.batch_norm(X, WEIGHT, None, training=True), RuntimeError, r"'running_mean' must be \(7,\)"),
    (lambda: MF.batch_norm(X.double(), None, None, training=True), TypeError, "float64"),
    (lambda: MF.batch_norm(X, None, None, torch.ones(7).double(), training=True), TypeError, "'weight'.*float64"),
    (lambda: MF.group_norm(X, 2), RuntimeError, "'num_groups' must divide the 7 channels of 'input', got 2"),
    (lambda: MF.group_norm(X, 0), RuntimeError, "got 0"),
    (lambda: MF.instance_norm(X[..., None]), ValueError, "more than 1 spatial element"),
    (lambda: MF.instance_norm(IMAGES, use_input_stats=False), RuntimeError, "'running_mean'"),
    (lambda: MF.rms_norm(X, (5,)), RuntimeError, "'input' must be normalized_shape"),
    (lambda: MF.rms_norm(X, (7,), torch.ones(6)), RuntimeError, "'weight' must be normalized_shape"),
    (lambda: MF.local_response_norm(X, 3), ValueError, "3D"),
    (lambda: MF.var(X, 1, True, correction=1), TypeError, "exclude"),
    (lambda: MF.var(X.long()), TypeError, r"var.*int64"),
    (lambda: MF.norm(X, "nuc"), NotImplementedError, "'nuc'"),
    (lambda: MF.prod(X, 2), IndexError, "dim"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
