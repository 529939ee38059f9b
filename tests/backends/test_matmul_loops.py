"""Which loop of the native matrix product serves which tiles, and the bits it returns (docs/kernels.md)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from mulfree.numerics import scalar
from tests.backends import patterns
from tests.backends.operations import OFFSETS
from tests.backends.patterns import assert_same_bits

kernels = pytest.importorskip("mulfree.backends._cpu")

ROWS, COLUMNS = 26, 70
"""More than two left panels and two right ones on every target, the last ones cut."""
ALPHAS = (2.0**-126, 2.0**-60, 2.0**60, 2.0**127, 1.75 * 2.0**127)
FAR = tuple(scalar.compensation_offset(scalar.bits(alpha)) for alpha in ALPHAS)

Pair = Callable[[int, int], tuple[Tensor, Tensor]]


def _log_uniform(low: int, high: int, m: int, n: int, seed: int) -> Tensor:
    return patterns.log_uniform(m * n, seed, low, high).view(m, n)


def _with(x: Tensor, value: float, share: float, seed: int) -> Tensor:
    """``x`` with about a ``share`` of its entries replaced, the first one always."""
    chosen = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share
    chosen.view(-1)[:1] = True
    return torch.where(chosen, value, x)


def _wide(low: int, high: int) -> Pair:
    return lambda k, seed: (_log_uniform(low, high, ROWS, k, seed), _log_uniform(low, high, k, COLUMNS, seed + 1))


def _replaced(value: float, share: float, left: bool, right: bool, low: int = -70, high: int = 70) -> Pair:
    def make(k: int, seed: int) -> tuple[Tensor, Tensor]:
        a, b = _wide(low, high)(k, seed)
        return (_with(a, value, share, seed + 2) if left else a), (_with(b, value, share, seed + 3) if right else b)

    return make


def _sprinkled(k: int, seed: int) -> tuple[Tensor, Tensor]:
    a, b = _wide(-70, 70)(k, seed)
    return patterns.sprinkled(a, seed + 2, 0.02), patterns.sprinkled(b, seed + 3, 0.02)


def _all_under(k: int, seed: int) -> tuple[Tensor, Tensor]:
    return _log_uniform(-100, -30, ROWS, k, seed), _log_uniform(-100, -26, k, COLUMNS, seed + 1)


def _all_over(k: int, seed: int) -> tuple[Tensor, Tensor]:
    return _log_uniform(30, 120, ROWS, k, seed), _log_uniform(40, 120, k, COLUMNS, seed + 1)


GENERAL: dict[str, Pair] = {
    "over and under": _wide(-75, 75),
    "hardly over or under": _wide(-64, 65),
    "every pair under": _all_under,
    "every pair over": _all_over,
    "zeros left": _replaced(0.0, 0.5, left=True, right=False),
    "zeros right": _replaced(-0.0, 0.5, left=False, right=True),
    "zeros": _replaced(0.0, 0.5, left=True, right=True),
    "infinities left": _replaced(float("-inf"), 0.01, left=True, right=False, low=-9, high=9),
    "infinities right": _replaced(float("inf"), 0.01, left=False, right=True, low=-9, high=9),
    "infinities": _replaced(float("inf"), 0.01, left=True, right=True),
    "NaN left": _replaced(float("nan"), 0.001, left=True, right=False, low=-9, high=9),
    "NaN right": _replaced(float("nan"), 0.001, left=False, right=True, low=-9, high=9),
    "tiny strays": _replaced(2.0**-125, 0.01, left=True, right=True, low=-9, high=9),
    "huge strays": _replaced(-(2.0**127), 0.01, left=True, right=True, low=-3, high=3),
    "special words": _sprinkled,
}
"""Operands with tiles for the general loop at any depth; both signs in all of them."""


@cache
def _expected(name: str, k: int, mantissa_bits: int, offset: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    a, b = GENERAL[name](k, 60)
    p = patterns.sprinkled(_log_uniform(-70, 70, ROWS, COLUMNS, 70), 71)
    reference = named("reference")
    product = reference.matmul(a, b, None, mantissa_bits, offset)
    return a, b, p, product, reference.matmul_grad(p, b.mT.contiguous(), a, mantissa_bits, offset)


def _compare(native: Backend, name: str, k: int, mantissa_bits: int = 23, offset: int = 0) -> None:
    a, b, p, product, slopes = _expected(name, k, mantissa_bits, offset)
    assert_same_bits(native.matmul(a, b, None, mantissa_bits, offset), product)
    assert_same_bits(native.matmul_grad(p, b.mT, a, mantissa_bits, offset), slopes)


@pytest.mark.parametrize("k", [1, 63, 64, 65, 257, 599])
@pytest.mark.parametrize("name", GENERAL)
def test_general_loop(native: Backend, name: str, k: int) -> None:
    _compare(native, name, k)


@pytest.mark.parametrize(("mantissa_bits", "offset"), [(1, 0), (7, OFFSETS[0]), (23, OFFSETS[1])])
@pytest.mark.parametrize("name", GENERAL)
def test_general_loop_narrowed_and_compensated(native: Backend, name: str, mantissa_bits: int, offset: int) -> None:
    _compare(native, name, 97, mantissa_bits, offset)


@pytest.mark.parametrize("offset", FAR)
@pytest.mark.parametrize("name", ["over and under", "every pair over", "zeros", "huge strays", "special words"])
def test_general_loop_with_far_compensation(native: Backend, name: str, offset: int) -> None:
    _compare(native, name, 70, 23, offset)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["over and under", "zeros", "special words"])
def test_general_loop_on_short_formats(native: Backend, name: str, dtype: torch.dtype) -> None:
    a, b = (x.to(dtype) for x in GENERAL[name](97, 80))
    assert_same_bits(native.matmul(a, b), named("reference").matmul(a, b))


def _tiles(run: Callable[[], object]) -> tuple[int, int, int]:
    kernels.take_tile_counts()
    run()
    return kernels.take_tile_counts()


@pytest.mark.parametrize("name", [name for name in GENERAL if not name.endswith(("strays", "left", "right"))])
def test_data_without_a_window_take_the_general_loop(native: Backend, name: str) -> None:
    a, b = GENERAL[name](256, 90)
    empty, fast, general = _tiles(partial(native.matmul, a, b))
    assert (empty, fast) == (0, 0)
    assert general > 1


@pytest.mark.parametrize("name", ["normal", "relu_like"])
def test_ordinary_data_take_the_fast_loop(native: Backend, name: str) -> None:
    make = getattr(patterns, name)
    a, b, p = make(ROWS * 256, 1).view(ROWS, 256), make(256 * COLUMNS, 2).view(256, COLUMNS), torch.ones(ROWS, COLUMNS)
    for run in (partial(native.matmul, a, b), partial(native.matmul_grad, p, b.mT, a)):
        empty, fast, general = _tiles(run)
        assert (empty, general) == (0, 0)
        assert fast > 1


def test_strays_slow_only_their_tiles(native: Backend) -> None:
    a, b = patterns.normal(ROWS * 256, 3).view(ROWS, 256), patterns.normal(256 * COLUMNS, 4).view(256, COLUMNS)
    a[0, 0] = b[0, 0] = 2.0**-125
    empty, fast, general = _tiles(partial(native.matmul, a, b))
    assert empty == 0
    assert fast > 0
    assert general > 0


def test_zeros_only_are_empty_tiles(native: Backend) -> None:
    """Unless a point of the exact derivative is NaN."""
    zeros, ones = torch.zeros(ROWS, 40), torch.ones(40, COLUMNS)
    points = torch.ones(ROWS, COLUMNS)
    points[3, 5] = float("nan")
    empty, *others = _tiles(partial(native.matmul, zeros, ones))
    assert empty > 0
    assert others == [0, 0]
    expected = torch.where(points.isnan(), points, 0.0)
    assert_same_bits(native.matmul_grad(points, ones.mT, zeros), expected)


def test_nan_points_of_scaled_tiles(native: Backend) -> None:
    """The fast loop scales a chunk with zeros; what NaN points make of its sums is not scaled back."""
    a, b = patterns.relu_like(ROWS * 300, 5).view(ROWS, 300), patterns.normal(300 * COLUMNS, 6).view(300, COLUMNS)
    points = patterns.normal(ROWS * COLUMNS, 7).view(ROWS, COLUMNS)
    points[3, 5] = points[-1, -1] = float("nan")
    empty, fast, general = _tiles(lambda: native.matmul_grad(points, b.mT, a))
    assert (empty, general) == (0, 0)
    assert fast > 0
    assert_same_bits(native.matmul_grad(points, b.mT, a), named("reference").matmul_grad(points, b.mT, a))
