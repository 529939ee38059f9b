"""Pooling: window sums in the law's order, torch's shapes and averages, gradients as window sums."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree
import mulfree.functional as MF
from mulfree.numerics import scalar
from mulfree.numerics.windows import window_total
from tests.ops.support import floats, same_bits, words

DERIVATIVES = ["approximate", "exact"]
OPTIONS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
]
SIZES = (7, 6, 5)


def whole(*shape: int, seed: int = 0) -> Tensor:
    """Whole numbers: their sums are exact in any order."""
    return torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(seed)).float()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradient(function: Callable[..., Tensor], x: Tensor, delta: Tensor, **options: Any) -> Tensor:
    free = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(function(free, **options), free, delta)
    return found


def close_quotient(found: Tensor, exact: Tensor) -> bool:
    """A PA quotient is at most 1/8 too large; window sums of whole numbers are exact."""
    ratio = (found / exact)[exact != 0]
    return bool((found[exact == 0] == 0).all() and (ratio > 1 - 1e-6).all() and (ratio < 1.125 + 1e-6).all())


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_average(ndim: int, options: dict[str, Any], derivative: Any) -> None:
    name = f"avg_pool{ndim}d"
    x = whole(2, 3, *SIZES[:ndim])
    for batch in (x, x[0]):
        expected = getattr(F, name)(batch, **options)
        free = batch.clone().requires_grad_()
        with mulfree.audit() as audit:
            found = getattr(MF, name)(free, **options, derivative=derivative)
            MF.sum(found).backward()
        assert audit.multiplications == 0, str(audit)
        assert found.shape == expected.shape
        assert close_quotient(found.detach(), expected)
        assert free.grad is not None
        theirs = gradient(getattr(F, name), batch, torch.ones_like(expected), **options)
        assert torch.allclose(free.grad, theirs, rtol=0.125 if derivative == "approximate" else 1, atol=1e-6)


def test_powers_of_two_are_exact() -> None:
    x, delta = whole(2, 3, 8, 8), whole(2, 3, 4, 4, seed=1)
    for function, options in (("avg_pool2d", {"kernel_size": 2}), ("adaptive_avg_pool2d", {"output_size": 4})):
        assert same_bits(getattr(MF, function)(x, **options), getattr(F, function)(x, **options) + 0.0)
        mine, theirs = (gradient(getattr(lib, function), x, delta, **options) for lib in (MF, F))
        assert same_bits(mine, theirs + 0.0)
    assert same_bits(MF.avg_pool2d(x, 3, divisor_override=2), F.avg_pool2d(x, 3, divisor_override=2) + 0.0)


@pytest.mark.parametrize("output", [1, 2, 3, 5, 9, (None, 2), (4, None)], ids=str)
def test_adaptive_average(output: Any) -> None:
    x = whole(2, 3, 7, 6)
    expected = F.adaptive_avg_pool2d(x, output)
    for derivative in DERIVATIVES:
        free = x.clone().requires_grad_()
        with mulfree.audit() as audit:
            found = MF.adaptive_avg_pool2d(free, output, derivative=derivative)
            MF.sum(found).backward()
        assert audit.multiplications == 0, str(audit)
        assert close_quotient(found.detach(), expected)
    assert same_bits(MF.adaptive_avg_pool1d(x[0], 3), MF.adaptive_avg_pool2d(x[0].unsqueeze(-2), (1, 3)).squeeze(-2))
    assert MF.adaptive_avg_pool3d(x, 2).shape == (2, 2, 2, 2)


@pytest.mark.parametrize("shape", [(2, 3, 5, 5), (2, 1, 40, 40)])
def test_one_output_is_the_mean(shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    assert same_bits(MF.adaptive_avg_pool2d(x, 1), MF.mean(x, (2, 3), keepdim=True))
    assert same_bits(MF.avg_pool2d(x, shape[2]), MF.mean(x, (2, 3), keepdim=True))


def ranges_of(size: int, kernel: int, stride: int, padding: int) -> list[tuple[int, int]]:
    count = (size + 2 * padding - kernel) // stride + 1
    starts = [o * stride - padding for o in range(count)]
    return [(max(0, start), min(size, start + kernel)) for start in starts]


def law_of_windows(x: Tensor, windows: list[list[tuple[int, int]]]) -> Tensor:
    """Window sums of a matrix by the law."""
    widths = [max(stop - start for start, stop in along) for along in windows]
    total = [
        window_total(lambda place: words(x[place])[0], window, widths)  # type: ignore[index]
        for window in product(*windows)
    ]
    return floats(total).view([len(along) for along in windows])


@pytest.mark.parametrize("setting", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (4, 3, 2), (6, 1, 0)], ids=str)
@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_order_is_the_law(setting: tuple[int, int, int], name: str) -> None:
    if name == "cpu":
        pytest.importorskip("mulfree.backends._cpu")
    x = normal(8, 9) * torch.exp2(whole(8, 9, seed=3))
    x[0, 0], x[3, 4] = 1e-39, -0.0
    windows = [ranges_of(size, *setting) for size in x.shape]
    delta = normal(*(len(along) for along in windows), seed=4)
    with mulfree.backend(name):
        found = MF.avg_pool2d(x.unsqueeze(0), *setting, divisor_override=1)[0]
        by_x = gradient(lambda y: MF.avg_pool2d(y.unsqueeze(0), *setting, divisor_override=1)[0], x, delta)
    assert same_bits(found, law_of_windows(x, windows))
    holding = [
        [(sum(stop <= i for _, stop in along), sum(start <= i for start, _ in along)) for i in range(size)]
        for along, size in zip(windows, x.shape, strict=True)
    ]
    assert same_bits(by_x, law_of_windows(delta, holding))


def test_uneven_windows_are_the_law() -> None:
    x = normal(7, 11)
    windows = [[(o * size // 4, -(-(o + 1) * size // 4)) for o in range(4)] for size in x.shape]
    counts = [floats([scalar.bits(float(stop - start)) for start, stop in along]) for along in windows]
    expected = MF.div(law_of_windows(x, windows), counts[0].unsqueeze(1) * counts[1])
    assert same_bits(MF.adaptive_avg_pool2d(x.unsqueeze(0), 4)[0], expected)


def test_gradients_of_gradients() -> None:
    """A window sum of whole numbers is linear and exact, so its second derivatives are torch's."""
    x, delta = whole(1, 2, 6, 6).requires_grad_(), whole(1, 2, 2, 2, seed=1).requires_grad_()
    found = []
    for library in (MF, F):
        y = library.avg_pool2d(x, 3, 2, divisor_override=1)
        (first,) = torch.autograd.grad(y, x, delta, create_graph=True)
        found.append(torch.autograd.grad(first, delta, whole(1, 2, 6, 6, seed=2))[0] + 0.0)
    assert same_bits(*found)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_norms(ndim: int) -> None:
    x = normal(2, 3, *SIZES[:ndim])
    for p, ceil_mode in ((2, False), (2, True), (3, False), (1, False)):
        data = x.abs() if p == 3 else x
        expected = getattr(F, f"lp_pool{ndim}d")(data.double(), p, 2, ceil_mode=ceil_mode)
        for derivative in DERIVATIVES:
            free = data.clone().requires_grad_()
            with mulfree.audit() as audit:
                found = getattr(MF, f"lp_pool{ndim}d")(free, p, 2, ceil_mode=ceil_mode, derivative=derivative)
                MF.sum(found).backward()
            assert audit.multiplications == 0, str(audit)
            assert found.shape == expected.shape
            # Products of p - 1 steps are 1/9 too small at most, the root takes log, quotient and power.
            defined = expected.abs() > 0.3
            assert torch.allclose(found[defined].double(), expected[defined], rtol=0.35)
    zero = torch.zeros(1, 1, *(2 for _ in range(ndim)), requires_grad=True)
    result = getattr(MF, f"lp_pool{ndim}d")(zero, 2, 2)
    assert torch.autograd.grad(result.sum(), zero)[0].abs().sum() == 0


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_maxima_are_torchs(ndim: int) -> None:
    x = normal(2, 3, *SIZES[:ndim])
    x.flatten()[4] = math.nan
    for name, arguments in ((f"max_pool{ndim}d", (3, 2, 1)), (f"adaptive_max_pool{ndim}d", (2,))):
        assert same_bits(getattr(MF, name)(x, *arguments), getattr(F, name)(x, *arguments))
        values, indices = getattr(MF, name)(x, *arguments, return_indices=True)
        assert same_bits(values, getattr(F, name)(x, *arguments))
        assert indices.dtype is torch.int64
        free = x.clone().requires_grad_()
        with mulfree.audit() as audit:
            MF.sum(getattr(MF, name)(free, *arguments)).backward()
        assert audit.multiplications == 0, str(audit)
        with pytest.raises(TypeError, match=f"{name}.*float64"):
            getattr(MF, name)(x.double(), *arguments)


def test_special_values_strides_and_dtypes() -> None:
    x = torch.tensor([[math.inf, -math.inf, 1.0, math.nan, 2.0, math.inf]])
    assert same_bits(MF.avg_pool1d(x, 2), torch.tensor([[math.nan, math.nan, math.inf]]))
    y = normal(4, 6, 5, 3).permute(0, 3, 1, 2)
    assert same_bits(MF.avg_pool2d(y, 2), MF.avg_pool2d(y.contiguous(), 2))
    for dtype in (torch.float16, torch.bfloat16):
        assert same_bits(MF.avg_pool2d(y.to(dtype), 4).float(), MF.avg_pool2d(y.to(dtype).float(), 4).to(dtype).float())
    assert MF.avg_pool2d(torch.empty(0, 3, 4, 4), 2).shape == (0, 3, 2, 2)
    assert gradient(MF.avg_pool2d, torch.empty(0, 3, 4, 4), torch.empty(0, 3, 2, 2), kernel_size=2).shape[0] == 0
    assert MF.adaptive_avg_pool2d(torch.empty(0, 3, 4, 4), 1).shape == (0, 3, 1, 1)


@pytest.mark.parametrize("name", ["lp_pool2d", "adaptive_avg_pool2d"])
def test_signatures_are_those_of_torch(name: str) -> None:
    mine, theirs = (inspect.signature(getattr(library, name)).parameters for library in (MF, F))
    assert list(mine) == [*theirs, "derivative"]


X = torch.ones(1, 1, 4, 4)
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: MF.avg_pool2d(X[0, 0], 2), RuntimeError, "'input' must have 3 or 4 dimensions"),
    (lambda: MF.avg_pool2d(X, (2, 2, 2)), RuntimeError, "'kernel_size' must be an int or 2 ints"),
    (lambda: MF.avg_pool2d(X, 2, padding=2), RuntimeError, "padding must be 0 to half"),
    (lambda: MF.avg_pool2d(X, 5), RuntimeError, "larger than the padded input"),
    (lambda: MF.avg_pool2d(X, 2, 0), RuntimeError, "must be positive"),
    (lambda: MF.avg_pool2d(X, 2, divisor_override=0), RuntimeError, "divisor_override"),
    (lambda: MF.avg_pool2d(X.double(), 2), TypeError, "float64"),
    (lambda: MF.adaptive_avg_pool2d(X, (1, 2, 3)), RuntimeError, "output_size"),
    (lambda: MF.adaptive_avg_pool2d(torch.empty(1, 1, 0, 4), 1), RuntimeError, "must not be empty"),
    (lambda: MF.lp_pool2d(X, 0, 2), ValueError, "norm_type must be positive"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
