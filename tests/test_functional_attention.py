"""Dropout and attention."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import mulfree.functional as MF
from tests.ops.support import Log, same_bits


def test_dropout_keeps_and_rescales() -> None:
    torch.manual_seed(0)
    x = torch.full((40_000,), 3.0, requires_grad=True)
    y = MF.dropout(x, 0.3)
    kept = y != 0.0
    # Five standard deviations of 40000 draws.
    assert abs(kept.float().mean().item() - 0.7) < 5 * math.sqrt(0.7 * 0.3 / 40_000)
    scale = MF.div(torch.tensor(1.0), torch.tensor(1.0) - torch.tensor(0.3))
    assert same_bits(y[kept], MF.mul(x, scale)[kept])
    y.sum().backward()
    assert x.grad is not None
    assert same_bits(x.grad, torch.where(kept, scale, 0.0))


def test_dropped_values_are_positive_zero() -> None:
    y = MF.dropout(-torch.ones(1000), 0.5)
    assert not torch.signbit(y[y == 0.0]).any()


def test_dropout_limits() -> None:
    x = torch.randn(5)
    assert MF.dropout(x, 0.5, training=False) is x
    assert MF.dropout(x, 0.0) is x
    assert same_bits(MF.dropout(x, 1.0), torch.zeros(5))
    y = x.clone()
    assert MF.dropout(y, 0.5, inplace=True) is y
    assert not same_bits(x, y)


def test_dropout_follows_the_seed_and_multiplies_nothing() -> None:
    x = torch.randn(100)
    torch.manual_seed(3)
    first = MF.dropout(x, 0.4)
    torch.manual_seed(3)
    with Log() as log:
        second = MF.dropout(x, 0.4)
    assert same_bits(first, second)
    assert [name.rpartition(".")[0] for name in log.names] == ["aten.randint", "mulfree.dropout"]


def test_dropout_can_be_compiled() -> None:
    x = torch.randn(100, requires_grad=True)
    torch.manual_seed(3)
    expected = MF.dropout(x, 0.3)
    torch.manual_seed(3)
    found = torch.compile(lambda v: MF.dropout(v, 0.3), backend="eager", fullgraph=True)(x)
    assert same_bits(found, expected)
    grads = [torch.autograd.grad(y.sum(), x)[0] for y in (found, expected)]
    assert same_bits(*grads)


def test_calls_differ() -> None:
    x = torch.ones(1000)
    assert not same_bits(MF.dropout(x, 0.5), MF.dropout(x, 0.5))


def test_dropped_values_leave_no_trace() -> None:
    x = torch.full((1000,), math.nan, requires_grad=True)
    torch.manual_seed(0)
    y = MF.dropout(x, 0.5)
    (grad,) = torch.autograd.grad(y, x, torch.full((1000,), math.inf))
    dropped = ~y.isnan()
    assert 0 < dropped.sum() < 1000
    assert same_bits(y[dropped], torch.zeros(int(dropped.sum())))
    assert torch.equal(grad == 0.0, dropped)


def test_dropout_in_half_precision() -> None:
    x = torch.randn(333)
    torch.manual_seed(1)
    wide = MF.dropout(x.bfloat16().float(), 0.3)
    torch.manual_seed(1)
    assert same_bits(MF.dropout(x.bfloat16(), 0.3), wide.bfloat16())


def test_dropout_can_be_differentiated_again() -> None:
    x, grad = torch.randn(50, requires_grad=True), torch.randn(50, requires_grad=True)
    torch.manual_seed(0)
    (by_x,) = torch.autograd.grad(MF.dropout(x, 0.5), x, grad, create_graph=True)
    delta = torch.randn(50)
    (by_grad,) = torch.autograd.grad(by_x, grad, delta)
    torch.manual_seed(0)
    assert same_bits(by_grad, MF.dropout(delta, 0.5))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_drop_the_same(reentrant: bool) -> None:
    def branch(x: torch.Tensor) -> torch.Tensor:
        return MF.mul(MF.dropout(x, 0.4), MF.dropout(x, 0.2))

    x = torch.randn(500, requires_grad=True)
    torch.manual_seed(5)
    plain = branch(x)
    (expected,) = torch.autograd.grad(plain.sum(), x)
    torch.manual_seed(5)
    kept = checkpoint(branch, x, use_reentrant=reentrant, preserve_rng_state=True)
    torch.manual_seed(6)
    kept.sum().backward()
    assert same_bits(kept, plain)
    assert x.grad is not None
    assert same_bits(x.grad, expected)


def inputs(**options: Any) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, 3, n, 16, generator=generator, **options) for n in (5, 7, 7))


def composed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
    """A head size of 16 makes the scale a power of two, where the order of scaling is immaterial."""
    scores = MF.mul(MF.matmul(q, k.mT), 0.25)
    return MF.matmul(MF.softmax(scores if added is None else scores + added, -1), v)


def test_attention_is_its_composition() -> None:
    q, k, v = inputs()
    assert same_bits(MF.scaled_dot_product_attention(q, k, v), composed(q, k, v))
    assert same_bits(MF.scaled_dot_product_attention(q, k, v, scale=0.25), composed(q, k, v))
    bias = torch.randn(5, 7)
    assert same_bits(MF.scaled_dot_product_attention(q, k, v, bias), composed(q, k, v, bias))
    allowed = torch.rand(2, 1, 5, 7) > 0.3
    added = torch.zeros(2, 1, 5, 7).masked_fill(~allowed, -math.inf)
    assert same_bits(MF.scaled_dot_product_attention(q, k, v, allowed), composed(q, k, v, added))
    causal = torch.zeros(5, 7).masked_fill(~torch.ones(5, 7, dtype=torch.bool).tril(), -math.inf)
    assert same_bits(MF.scaled_dot_product_attention(q, k, v, is_causal=True), composed(q, k, v, causal))


@pytest.mark.parametrize("scale", [0.3, 1.7])
def test_scale_is_that_of_the_query(scale: float) -> None:
    q, k, v = inputs()
    scaled = MF.scaled_dot_product_attention(MF.mul(q, scale), k, v, scale=1.0)
    assert same_bits(MF.scaled_dot_product_attention(q, k, v, scale=scale), scaled)


def test_unusual_scales() -> None:
    q, k, v = inputs()
    negative = MF.scaled_dot_product_attention(q, k, v, scale=-0.5)
    assert same_bits(negative, MF.scaled_dot_product_attention(-q, k, v, scale=0.5))
    uniform = MF.scaled_dot_product_attention(q, k, v, scale=0.0)
    assert same_bits(uniform, MF.matmul(MF.softmax(torch.zeros(2, 3, 5, 7), -1), v))


def test_attention_close_to_torch() -> None:
    """Scores, softmax and the outer product are each up to 12.5 % off."""
    q, k, v = inputs(requires_grad=True)
    found, expected = MF.scaled_dot_product_attention(q, k, v), F.scaled_dot_product_attention(q, k, v)
    assert torch.allclose(found, expected, atol=0.5)
    for mine, theirs in zip(
        torch.autograd.grad(found.sum(), (q, k, v)), torch.autograd.grad(expected.sum(), (q, k, v)), strict=True
    ):
        assert F.cosine_similarity(mine.flatten(), theirs.flatten(), 0) > 0.9


def test_attention_dropout() -> None:
    torch.manual_seed(0)
    q, k, v = inputs()
    dropped = MF.scaled_dot_product_attention(q, k, v, dropout_p=1.0)
    assert same_bits(dropped, torch.zeros(2, 3, 5, 16))
