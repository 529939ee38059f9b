"""Batch norm of every backend against the law, bit for bit (spec 7)."""

from __future__ import annotations

import random
from functools import cache

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from mulfree.numerics import norms
from mulfree.numerics.formats import ONE, SIGN
from tests.backends import patterns
from tests.backends.patterns import assert_same_bits, from_words, to_words
from tests.backends.test_rows import ROWS
from tests.backends.test_tame_ranges import EDGES, LIMITS

EPS = 1e-5
KINDS = tuple(ROWS)


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


def _channels(x: Tensor) -> list[list[int]]:
    return [to_words(row) for row in x.transpose(0, 1).flatten(1)]


def _from_channels(rows: list[list[int]], batch: int, positions: int) -> Tensor:
    stacked = torch.stack([from_words(row) for row in rows])
    return stacked.view(len(rows), batch, positions).transpose(0, 1).contiguous()


@cache
def _case(batch: int, positions: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One channel of each kind, with gradients, weight and bias."""
    source, n = random.Random(batch + positions), batch * positions
    x = _from_channels([ROWS[kind](n, source) for kind in KINDS], batch, positions)
    kinds = [source.choice(("gaussian", "gaussian", "random bits")) for _ in KINDS]
    grad = _from_channels([ROWS[kind](n, source) for kind in kinds], batch, positions)
    weight, bias = (from_words(ROWS["gaussian"](len(KINDS), source)) for _ in range(2))
    return x, grad, weight, bias


@pytest.mark.parametrize("affine", ["both", "weight", "none"])
@pytest.mark.parametrize(("batch", "positions"), [(1, 2), (3, 1), (37, 1), (2, 16), (3, 21), (1, 70), (5, 250)])
def test_every_kind_of_channel(backend: Backend, batch: int, positions: int, affine: str) -> None:
    x, grad, weight, bias = _case(batch, positions)
    given = None if affine == "none" else weight, bias if affine == "both" else None
    factors = to_words(weight) if affine != "none" else [ONE] * len(KINDS)
    added = to_words(bias) if affine == "both" else [SIGN] * len(KINDS)
    result, stats = backend.batch_norm(x, *given, EPS)
    each = list(zip(_channels(x), factors, added, strict=True))
    law = [norms.batch_norm(row, w, b, EPS) for row, w, b in each]
    assert result.is_contiguous()
    assert_same_bits(result, _from_channels(law, batch, positions))
    for exact in (True, False):
        by_x, by_weight, by_bias = backend.batch_norm_grad(grad, x, given[0], stats, exact)
        found = [
            norms.batch_norm_grad(g, row, w, EPS, exact) for g, (row, w, _) in zip(_channels(grad), each, strict=True)
        ]
        assert_same_bits(by_x, _from_channels([f[0] for f in found], batch, positions))
        assert_same_bits(by_weight, from_words([f[1] for f in found]))
        assert_same_bits(by_bias, from_words([f[2] for f in found]))


def _compare(compiled: Backend, x: Tensor, grad: Tensor, weight: Tensor, bias: Tensor) -> None:
    reference = named("reference")
    for w, b in ((weight, bias), (None, None)):
        result, stats = reference.batch_norm(x, w, b, EPS)
        found, found_stats = compiled.batch_norm(x, w, b, EPS)
        assert_same_bits(found, result, x)
        assert_same_bits(found_stats, stats)
        for exact in (True, False):
            expected = reference.batch_norm_grad(grad, x, w, stats, exact)
            for mine, wanted in zip(compiled.batch_norm_grad(grad, x, w, stats, exact), expected, strict=True):
                assert_same_bits(mine, wanted)


@pytest.mark.parametrize(("batch", "channels", "positions"), [(70, 40, 1), (9, 5, 15), (4, 3, 1031), (2, 33, 256)])
@pytest.mark.parametrize("kind", ["gaussian", "wide", "specials", "random bits"])
def test_kernels_on_many_channels(compiled: Backend, batch: int, channels: int, positions: int, kind: str) -> None:
    n, share = batch * channels * positions, 1 / (3 * batch * positions)
    make = {
        "gaussian": patterns.normal,
        "wide": lambda size, seed: patterns.log_uniform(size, seed, -40, 40),
        "specials": lambda size, seed: patterns.sprinkled(patterns.normal(size, seed), seed, share),
        "random bits": patterns.random_bits,
    }[kind]
    x, grad = (make(n, seed).view(batch, channels, positions) for seed in (1, 2))
    _compare(compiled, x, grad, patterns.normal(channels, 3), patterns.normal(channels, 4))


@pytest.mark.parametrize("positions", [1, 16])
@pytest.mark.parametrize("place", ["x", "grad", "weight", "bias", "scale of x", "scale of grad", "zeros"])
def test_edges_of_the_ranges(compiled: Backend, place: str, positions: int) -> None:
    """An edge in each channel, or channels scaled to the limits in which the kernels take shortcuts."""
    channels, batch = len(EDGES), 32 // positions
    x, grad = (patterns.normal(batch * channels * positions, s).view(batch, channels, positions) for s in (1, 2))
    weight, bias = patterns.normal(channels, 3), patterns.normal(channels, 4)
    edges = from_words(EDGES)
    powers = torch.tensor(LIMITS).repeat(channels)[:channels].view(1, channels, 1)
    if place in ("x", "grad"):
        target = x if place == "x" else grad
        target[batch // 2, :, positions // 2] = edges
    elif place == "weight":
        weight = edges
    elif place == "bias":
        bias = edges
    elif place == "zeros":
        grad[:, ::2] = torch.where(grad[:, ::2] > 0, grad[:, ::2], -0.0)
        grad[:, ::5] = 0.0
    elif place == "scale of x":
        x = torch.ldexp(x, powers)
    else:
        grad = torch.ldexp(grad, powers)
    _compare(compiled, x, grad, weight, bias)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)], ids=str)
def test_empty(backend: Backend, shape: tuple[int, int, int]) -> None:
    x, weight = torch.empty(shape), torch.ones(shape[1])
    result, stats = backend.batch_norm(x, weight, weight, EPS)
    assert result.shape == shape
    assert stats.shape == (shape[1], 4)
    by_x, by_weight, by_bias = backend.batch_norm_grad(x, x, weight, stats, False)
    assert by_x.shape == shape
    assert by_weight.shape == by_bias.shape == (shape[1],)
