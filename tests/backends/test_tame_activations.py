"""Native activation functions at the edges of the ranges in which they take shortcuts, bits beside the reference's."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from mulfree.numerics import scalar
from mulfree.numerics.formats import SIGN
from tests.backends.patterns import assert_same_bits, from_words
from tests.backends.test_tame_ranges import EDGES

LIMITS = (7.0, 40.0, 43.67, 44.36, 60.5, 87.0, 88.03, 88.73)
"""Bounds of the short forms, and where the powers on the way become zero, infinite or too large to be squared."""
NAMES = ("gelu", "sigmoid", "silu", "tanh")
LANES = 16


def _near(limit: float) -> list[int]:
    word = scalar.bits(limit)
    return [sign | word + by for by in (-1, 0, 1) for sign in (0, SIGN)]


@cache
def _pairs() -> tuple[Tensor, Tensor]:
    """Gradients and operands: every edge with every other, each pair in as many lanes as a vector has."""
    near = from_words([word for limit in LIMITS for word in _near(limit)])
    edges = torch.cat([from_words(EDGES), near])
    grads, operands = torch.meshgrid(from_words(EDGES[::2]).view(torch.int32), edges.view(torch.int32), indexing="ij")
    repeated = (x.reshape(-1, 1).expand(-1, LANES).reshape(-1) for x in (grads, operands))
    return tuple(x.contiguous().view(torch.float32) for x in repeated)  # type: ignore[return-value]


@cache
def _expected(name: str, exact: bool) -> tuple[Tensor, Tensor]:
    reference, (grad, x) = named("reference"), (t[::LANES] for t in _pairs())
    results = reference.unary(name, x), reference.unary_grad(name, grad, x, exact)
    return tuple(t.repeat_interleave(LANES) for t in results)  # type: ignore[return-value]


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
@pytest.mark.parametrize("name", NAMES)
def test_edges(native: Backend, name: str, exact: bool) -> None:
    grad, x = _pairs()
    result, slope = _expected(name, exact)
    assert_same_bits(native.unary(name, x), result, x)
    assert_same_bits(native.unary_grad(name, grad, x, exact), slope, grad, x)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
@pytest.mark.parametrize("name", NAMES)
def test_ordinary_words(native: Backend, name: str, exact: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(300_001, generator=generator) * torch.exp2(torch.linspace(-40, 6, 300_001))
    grad = torch.randn(300_001, generator=generator) * torch.exp2(torch.linspace(-130, 50, 300_001).flip(0))
    reference = named("reference")
    assert_same_bits(native.unary(name, x), reference.unary(name, x), x)
    expected = reference.unary_grad(name, grad, x, exact)
    assert_same_bits(native.unary_grad(name, grad, x, exact), expected, grad, x)
