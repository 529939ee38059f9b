"""Attention in blocks against the composition of its steps, bit for bit."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import mulfree as mf
import mulfree.functional as MF
from mulfree.functional import Derivative
from mulfree.ops import attention
from tests.ops.support import same_bits


@pytest.fixture(params=[(1, 0), (700, 0), (700, 1 << 30), (1 << 19, 1 << 22)], ids=str)
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one head, of a few, of all; scores kept or not."""
    block, kept = request.param
    monkeypatch.setattr(attention, "BLOCK", block)
    monkeypatch.setattr("mulfree.functional._attention.KEPT", kept)


def operands(*batch: int, queries: int = 5, keys: int = 7, size: int = 16, width: int = 6) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    shapes = (queries, size), (keys, size), (keys, width)
    return tuple(torch.randn(*batch, *shape, generator=generator).requires_grad_() for shape in shapes)


def composed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    added: Tensor | None = None,
    dropout_p: float = 0.0,
    derivative: MF.Derivatives = "approximate",
    softmax: Derivative = "approximate",
    **options: Any,
) -> Tensor:
    """A head size of 16 makes the scale a power of two, so that it may follow the sum."""
    scores = MF.mul(MF.matmul(q, k.mT, derivative=derivative, **options), 0.25, derivative="exact")
    scores = scores if added is None else scores + added
    weights = MF.dropout(MF.softmax(scores, -1, derivative=softmax), dropout_p)
    return MF.matmul(weights, v, derivative=derivative, **options)


def require_same(found: Tensor, expected: Tensor, *wanted: Tensor) -> None:
    assert same_bits(found, expected)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
    for a, b in zip(
        torch.autograd.grad(found, wanted, upstream), torch.autograd.grad(expected, wanted, upstream), strict=True
    ):
        assert same_bits(a, b)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("softmax", ["approximate", "exact"])
@pytest.mark.parametrize("derivative", ["approximate", "exact", ("exact", "approximate"), ("approximate", "exact")])
def test_derivatives(derivative: MF.Derivatives, softmax: Derivative) -> None:
    q, k, v = operands(2, 3)
    options: Any = {"derivative": derivative, "mantissa_bits": 9, "compensation": 1.0625}
    found = MF.scaled_dot_product_attention(q, k, v, softmax_derivative=softmax, **options)
    require_same(found, composed(q, k, v, softmax=softmax, **options), q, k, v)


def test_softmax_follows_one_choice_but_not_a_pair() -> None:
    q, k, v = operands(2)
    exact = MF.scaled_dot_product_attention(q, k, v, derivative="exact")
    require_same(exact, composed(q, k, v, derivative="exact", softmax="exact"), q, k, v)
    pair = MF.scaled_dot_product_attention(q, k, v, derivative=("exact", "exact"))
    require_same(pair, composed(q, k, v, derivative="exact", softmax="approximate"), q, k, v)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (7,), (3, 1, 1), (2, 1, 5, 7), (1, 3, 1, 7), (2, 3, 5, 7)], ids=str)
def test_additive_masks_and_their_gradients(shape: tuple[int, ...]) -> None:
    q, k, v = operands(2, 3)
    mask = torch.randn(shape, generator=torch.Generator().manual_seed(3)).requires_grad_()
    scores = torch.empty(2, 3, 5, 7).shape
    found = MF.scaled_dot_product_attention(q, k, v, mask)
    assert same_bits(found, composed(q, k, v, mask))
    upstream = torch.randn(found.shape)
    # torch's own addition would sum the mask's gradient in another order; a product by one does so in the law's.
    by_law = composed(q, k, v, MF.mul(torch.ones(scores), mask, derivative="exact"))
    wanted = (q, k, v, mask)
    for a, b in zip(
        torch.autograd.grad(found, wanted, upstream), torch.autograd.grad(by_law, wanted, upstream), strict=True
    ):
        assert same_bits(a, b)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("shape", [(5, 7), (2, 1, 1, 7), (3, 5, 7)], ids=str)
def test_bool_masks(shape: tuple[int, ...]) -> None:
    q, k, v = operands(2, 3)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(4)) < 0.6
    mask[..., 0] = True
    added = torch.zeros(shape).masked_fill(~mask, -math.inf)
    require_same(MF.scaled_dot_product_attention(q, k, v, mask), composed(q, k, v, added), q, k, v)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (7, 5), (300, 9), (520, 3)])
def test_causal(queries: int, keys: int) -> None:
    q, k, v = operands(3, queries=queries, keys=keys)
    seen = torch.ones(queries, keys, dtype=torch.bool).tril()
    added = torch.zeros(queries, keys).masked_fill(~seen, -math.inf)
    require_same(MF.scaled_dot_product_attention(q, k, v, is_causal=True), composed(q, k, v, added), q, k, v)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("derivative", ["approximate", "exact"])
def test_many_rows_are_added_in_order(derivative: Derivative) -> None:
    q, k, v = operands(2, queries=800)
    bias = torch.randn(2, 800, 7)
    found = MF.scaled_dot_product_attention(q, k, v, bias, derivative=derivative)
    require_same(found, composed(q, k, v, bias, derivative=derivative, softmax=derivative), q, k, v)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(("queries", "p"), [(5, 0.3), (300, 0.5), (5, 1.0)])
def test_dropout_is_that_of_all_weights(queries: int, p: float) -> None:
    q, k, v = operands(2, 3, queries=queries)
    torch.manual_seed(5)
    expected = composed(q, k, v, dropout_p=p)
    torch.manual_seed(5)
    require_same(MF.scaled_dot_product_attention(q, k, v, dropout_p=p), expected, q, k, v)


@pytest.mark.usefixtures("blocks")
def test_grouped_heads() -> None:
    q, (k, v) = operands(2, 6)[0], operands(2, 2)[1:]
    mask = torch.randn(2, 6, 5, 7)
    grouped = composed(q.unflatten(1, (2, 3)), k[:, :, None], v[:, :, None], mask.unflatten(1, (2, 3))).flatten(1, 2)
    require_same(MF.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True), grouped, q, k, v)
    expected = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)
    assert torch.allclose(grouped, expected, atol=0.5)
    for heads in (1, 6):
        added = mask[:, :heads]
        found = MF.scaled_dot_product_attention(q, k, v, added, enable_gqa=True)
        assert same_bits(found, MF.scaled_dot_product_attention(q, k, v, added.expand(2, 6, 5, 7), enable_gqa=True))


def test_grouped_heads_must_divide() -> None:
    q, k, v = operands(2, 4)
    with pytest.raises(RuntimeError, match="multiple"):
        MF.scaled_dot_product_attention(q, k[:, :3], v[:, :3], enable_gqa=True)
    with pytest.raises(RuntimeError, match="heads"):
        MF.scaled_dot_product_attention(q[0, 0], k[0, 0], v[0, 0], enable_gqa=True)


@pytest.mark.usefixtures("blocks")
def test_masked_rows_are_zero_as_in_torch() -> None:
    q, k, v = operands(1, 2)
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[1] = mask[3] = False
    added = torch.zeros(5, 7).masked_fill(~mask, -math.inf).requires_grad_()
    wanted = (q, k, v, added)
    found = MF.scaled_dot_product_attention(q, k, v, added)
    assert same_bits(found, MF.scaled_dot_product_attention(q, k, v, mask))
    with sdpa_kernel(SDPBackend.MATH):
        expected = F.scaled_dot_product_attention(q, k, v, added)
    assert torch.allclose(found, expected, atol=0.5)
    rows = [1, 3]
    assert same_bits(found[..., rows, :], torch.zeros(1, 2, 2, 6))
    for mine, theirs in zip(
        torch.autograd.grad(found.sum(), wanted), torch.autograd.grad(expected.sum(), wanted), strict=True
    ):
        assert mine.isfinite().all()
        assert F.cosine_similarity(mine.flatten(), theirs.flatten(), 0) > 0.9
    (by_query,) = torch.autograd.grad(MF.scaled_dot_product_attention(q, k, v, mask).sum(), q)
    assert same_bits(by_query[..., rows, :], torch.zeros(1, 2, 2, 16))


EMPTY = [(0, 3, 5, 7, 4, 6), (2, 3, 0, 7, 4, 6), (2, 3, 5, 0, 4, 6), (2, 3, 5, 7, 0, 6), (2, 3, 5, 7, 4, 0)]


@pytest.mark.parametrize("shape", EMPTY, ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_empty(shape: tuple[int, ...], causal: bool) -> None:
    *batch, queries, keys, size, width = shape
    q, k, v = operands(*batch, queries=queries, keys=keys, size=size, width=width)
    with sdpa_kernel(SDPBackend.MATH):
        expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    found = MF.scaled_dot_product_attention(q, k, v, is_causal=causal)
    assert torch.allclose(found, expected, atol=0.2)
    assert found.shape == expected.shape
    for grad, x in zip(torch.autograd.grad(found.sum(), (q, k, v)), (q, k, v), strict=True):
        assert grad.shape == x.shape
        assert grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    narrow = [x.detach().to(dtype).requires_grad_() for x in operands(2, 3)]
    wide = [x.detach().float().requires_grad_() for x in narrow]
    mask = torch.randn(5, 7)
    found, expected = (MF.scaled_dot_product_attention(*x, mask) for x in (narrow, wide))
    assert same_bits(found, expected.to(dtype))
    upstream = torch.randn(found.shape).to(dtype)
    for a, b in zip(
        torch.autograd.grad(found, narrow, upstream), torch.autograd.grad(expected, wide, upstream.float()), strict=True
    ):
        assert same_bits(a, b.to(dtype))


def test_batch_dimensions_broadcast() -> None:
    q, (k, v) = operands(2, 3)[0], operands(3)[1:]
    require_same(MF.scaled_dot_product_attention(q, k, v), composed(q, k, v), q, k, v)
    require_same(MF.scaled_dot_product_attention(q[:, :1], k, v[:1]), composed(q[:, :1], k, v[:1]), q, k, v)


def test_reference_backend() -> None:
    q, k, v = operands(2, 3)
    mask = torch.randn(3, 5, 7).requires_grad_()
    results = []
    for name in ("reference", "cpu"):
        torch.manual_seed(0)
        with mf.backend(name):
            result = MF.scaled_dot_product_attention(q, k, v, mask, 0.2)
            results.append([result, *torch.autograd.grad(result.sum(), (q, k, v, mask))])
    for a, b in zip(*results, strict=True):
        assert same_bits(a, b)


def test_nothing_is_multiplied() -> None:
    q, k, v = operands(2, 4)
    mask = torch.randn(4, 5, 7).requires_grad_()
    with mf.audit() as audit:
        result = MF.scaled_dot_product_attention(q, k[:, :2], v[:, :2], mask, 0.1, scale=-0.3, enable_gqa=True)
        result.sum().backward()
        MF.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
    assert audit.multiplications == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"attn_mask": torch.zeros(4, 7)}, RuntimeError, r"must broadcast to \(2, 5, 7\), got \(4, 7\)"),
        ({"attn_mask": torch.zeros(3, 2, 5, 7)}, RuntimeError, "must broadcast"),
        ({"attn_mask": torch.zeros(5, 7, dtype=torch.float64)}, TypeError, "attn_mask must be bool"),
        ({"attn_mask": torch.zeros(5, 7), "is_causal": True}, RuntimeError, "attn_mask must be None"),
        ({"key": torch.zeros(2, 7, 3)}, RuntimeError, "agree in d and in s"),
        ({"value": torch.zeros(2, 6, 3)}, RuntimeError, "agree in d and in s"),
        ({"value": torch.zeros(2, 7, 3, dtype=torch.float16)}, TypeError, "'value' must be float32"),
        ({"query": torch.zeros(16)}, RuntimeError, "at least 2 dimensions"),
        ({"dropout_p": 1.5}, ValueError, "between 0 and 1"),
        ({"mantissa_bits": 24}, ValueError, "mantissa_bits"),
        ({"softmax_derivative": "both"}, ValueError, "derivative must be"),
    ],
)
def test_bad_arguments(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = dict(zip(("query", "key", "value"), operands(2), strict=True)) | change
    with pytest.raises(error, match=message):
        MF.scaled_dot_product_attention(**arguments)


MEMORY = """
import torch, mulfree.functional as MF
from benchmarks.memory import RESET, _resident
q, k, v = (torch.randn(4, 8192, 16).requires_grad_() for _ in range(3))
MF.scaled_dot_product_attention(q[:, :300], k, v).sum().backward()
RESET.write_text("5")
before = _resident("VmRSS")
MF.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
print(_resident("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's count of resident memory")
def test_memory_does_not_grow_with_the_scores() -> None:
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True, cwd=root)
    scores = 4 * 8192 * 8192 * 4
    assert int(run.stdout) < scores // 4
