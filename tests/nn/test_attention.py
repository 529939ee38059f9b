"""MultiheadAttention against torch's module and against its own composition.

Close to torch means within 0.2 for outputs of size 0.3: five PA operations in a row, each up to 12.5 % off.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import mulfree.functional as MF
import mulfree.nn as mnn
from tests.ops.support import same_bits

BATCH, QUERIES, KEYS, SIZE, HEADS = 3, 4, 5, 16, 2


def pair(**options: Any) -> tuple[mnn.MultiheadAttention, torch.nn.MultiheadAttention]:
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(SIZE, HEADS, **options)
    mine = mnn.MultiheadAttention(SIZE, HEADS, **options)
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def operands(batch_first: bool, kdim: int = SIZE, vdim: int = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    shapes = ((QUERIES, SIZE), (KEYS, kdim), (KEYS, vdim))
    q, k, v = (torch.randn(BATCH, *shape) for shape in shapes)
    return (q, k, v) if batch_first else (q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1))


def assert_close(mine: tuple[Tensor, Tensor | None], theirs: tuple[Tensor, Tensor | None]) -> None:
    for a, b in zip(mine, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a.shape == b.shape
            assert torch.allclose(a, b, atol=0.2)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"kdim": 6, "vdim": 7},
        {"add_bias_kv": True},
        {"add_zero_attn": True},
        {"add_bias_kv": True, "add_zero_attn": True},
    ],
    ids=str,
)
def test_options(options: dict[str, Any], need_weights: bool, batch_first: bool) -> None:
    mine, theirs = pair(batch_first=batch_first, **options)
    inputs = operands(batch_first, options.get("kdim", SIZE), options.get("vdim", SIZE))
    masks = {
        "key_padding_mask": torch.arange(KEYS).expand(BATCH, KEYS) >= torch.tensor([[5], [3], [4]]),
        "attn_mask": ~torch.ones(QUERIES, KEYS, dtype=torch.bool).tril(1),
    }
    if "kdim" not in options:
        inputs = (inputs[0], inputs[1], inputs[1])
    for given in ({}, masks):
        assert_close(
            mine(*inputs, need_weights=need_weights, **given), theirs(*inputs, need_weights=need_weights, **given)
        )


def test_weights_by_head_and_masks_by_head() -> None:
    mine, theirs = pair(batch_first=True)
    q, k, v = operands(True)
    mask = torch.randn(BATCH * HEADS, QUERIES, KEYS)
    options: dict[str, Any] = {"attn_mask": mask, "average_attn_weights": False}
    found, expected = mine(q, k, v, **options), theirs(q, k, v, **options)
    assert_close(found, expected)
    averaged = mine(q, k, v, attn_mask=mask)[1]
    assert same_bits(averaged, MF.mean(found[1], 1))


def test_without_batch() -> None:
    mine, theirs = pair()
    q, k, v = (x[:, 0] for x in operands(False))
    padding = torch.tensor([False, False, False, True, True])
    assert_close(mine(q, k, v, key_padding_mask=padding), theirs(q, k, v, key_padding_mask=padding))


def test_self_attention_projects_once_with_the_same_bits() -> None:
    mine, _ = pair(batch_first=True)
    x = operands(True)[0]
    together, apart = mine(x, x, x), mine(x, x.clone(), x.clone())
    assert same_bits(together[0], apart[0])
    assert same_bits(together[1], apart[1])


def test_is_its_composition() -> None:
    mine, _ = pair(batch_first=True)
    x = operands(True)[0]
    qkv = MF.linear(x, mine.in_proj_weight, mine.in_proj_bias).view(BATCH, QUERIES, 3, HEADS, SIZE // HEADS)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    heads = MF.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)
    assert same_bits(mine(x, x, x, need_weights=False)[0], MF.linear(heads, mine.out_proj.weight, mine.out_proj.bias))


def test_gradients_reach_every_parameter() -> None:
    mine, theirs = pair(batch_first=True, add_bias_kv=True)
    q, k, _ = operands(True)
    for module in (mine, theirs):
        module(q, k, k)[0].sum().backward()
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        if b.grad.abs().max() > 1e-5:  # that of the key's bias is zero but for rounding
            assert torch.cosine_similarity(a.grad.flatten(), b.grad.flatten(), 0) > 0.9


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda m, x: m(x, x, x, is_causal=True), RuntimeError, "attn_mask"),
        (lambda m, x: m(x, x[0], x[0]), AssertionError, "found 2-D and 2-D"),
        (lambda m, x: m(x, x, x, attn_mask=torch.ones(2, 2, dtype=torch.bool)), RuntimeError, r"should be \(4, 4\)"),
        (lambda m, x: m(x, x, x, key_padding_mask=torch.ones(2, 2, dtype=torch.bool)), AssertionError, "got 2"),
        (lambda m, x: m(x, x, x, attn_mask=torch.ones(QUERIES, QUERIES).double()), TypeError, "float64"),
    ],
)
def test_errors(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(pair(batch_first=True)[0], operands(True)[0])
