"""Sums of every backend in the law's order (spec 6)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from mulfree.numerics import rows
from tests.backends import patterns
from tests.backends.patterns import assert_same_bits, from_words, to_words


def by_law(x: Tensor) -> Tensor:
    """Sums over the last dimension of a matrix."""
    return from_words([rows.total(to_words(row)) for row in x])


@pytest.mark.parametrize("n", [*range(0, 71, 7), 31, 32, 33, 64, 65, 1023, 1024, 1025, 1026, 2048, 2050, 3100])
def test_length(backend: Backend, n: int) -> None:
    x = torch.stack(
        [
            patterns.normal(n, 1),
            patterns.log_uniform(n, 2, -10, 40),
            patterns.log_uniform(n, 3, -127, -120),
            patterns.sprinkled(patterns.gradient_like(n, 4), 5),
        ]
    )
    assert_same_bits(backend.sum(x, (1,)), by_law(x))
    assert_same_bits(backend.sum(x.mT.contiguous(), (0,)), by_law(x))


def test_a_zero_total_is_positive(backend: Backend) -> None:
    x = from_words([0x80000000] * 40 + [0x80000001] * 3 + [0x80800000, 0x00800000]).view(1, -1)
    assert to_words(backend.sum(x, (1,))) == [0]


def test_terms_that_vanish_only_in_order(backend: Backend) -> None:
    """2**24 + 1 - 2**24 is 0 in one lane and 1 across lanes: the order is visible."""
    big, one = 0x4B800000, 0x3F800000
    lane = [0] * 65
    lane[0], lane[32], lane[64] = big, one, big | 0x80000000
    spread = [big, one, big | 0x80000000]
    assert to_words(backend.sum(from_words(lane).view(1, -1), (1,))) == [0]
    assert to_words(backend.sum(from_words(spread).view(1, -1), (1,))) == [rows.total(spread)]


DIMS = [(0,), (1,), (2,), (3,), (0, 1), (0, 2), (1, 3), (2, 3), (0, 1, 2), (0, 2, 3), (1, 2, 3), (0, 1, 2, 3)]


@pytest.mark.parametrize("dims", DIMS, ids=str)
@pytest.mark.parametrize("keepdim", [False, True])
def test_dimensions(backend: Backend, dims: tuple[int, ...], keepdim: bool) -> None:
    shape = (3, 5, 2, 7)
    x = patterns.mixed(210, 8).view(shape)
    kept = [dim for dim in range(4) if dim not in dims]
    matrix = x.permute(*kept, *dims).reshape(-1, torch.Size(shape[dim] for dim in dims).numel())
    expected = by_law(matrix).view([1 if dim in dims else shape[dim] for dim in range(4) if keepdim or dim in kept])
    assert_same_bits(backend.sum(x, dims, keepdim), expected)
    assert_same_bits(backend.sum(x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0), dims, keepdim), expected)


EMPTY = [((0, 4), (0,)), ((0, 4), (1,)), ((4, 0), (0,)), ((4, 0), (1,)), ((0,), (0,)), ((2, 0, 3), (0, 1))]


@pytest.mark.parametrize(("shape", "dims"), EMPTY)
def test_empty(backend: Backend, shape: tuple[int, ...], dims: tuple[int, ...]) -> None:
    x = torch.empty(shape)
    expected = torch.zeros([size for dim, size in enumerate(shape) if dim not in dims])
    assert_same_bits(backend.sum(x, dims), expected)


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (3000, 50), (50, 3000), (5, 33, 1025)], ids=str)
def test_native_kernels_on_long_sums(native: Backend, shape: tuple[int, ...]) -> None:
    x = patterns.sprinkled(patterns.log_uniform(torch.Size(shape).numel(), 9, -20, 20), 10, 1e-5).view(shape)
    for dim in range(len(shape)):
        assert_same_bits(native.sum(x, (dim,)), named("reference").sum(x, (dim,)))
    strided = x.expand(2, *shape)
    assert_same_bits(native.sum(strided, (0, 1)), named("reference").sum(strided, (0, 1)))
