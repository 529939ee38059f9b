"""Sums and matrix products on tensors of words, in the law's orders (spec 6)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mulfree.backends import reference_words as word
from mulfree.backends.reference_words import add_floats, canonical, floats, flush, positive_zero, words
from mulfree.numerics.formats import DOT_CHUNK, SUM_CHUNK, SUM_LANES


def total(rows: Tensor) -> Tensor:
    """Sum over the last dimension: chunks of 1024, 32 lanes in a chunk, lanes added as a tree, chunks in order."""
    *outer, n = rows.shape
    chunk = SUM_CHUNK if n > SUM_CHUNK else SUM_LANES * max(1, -(-n // SUM_LANES))
    # Appended zeros change no sum but the sign of a zero, which is settled at the end.
    terms = floats(flush(torch.nn.functional.pad(rows, (0, -n % chunk))))
    terms = terms.view(*outer, -(-n // chunk), chunk // SUM_LANES, SUM_LANES)
    lanes = torch.zeros_like(terms[..., 0, :])
    for step in range(terms.shape[-2]):
        lanes = add_floats(lanes, terms[..., step, :])
    while lanes.shape[-1] > 1:
        lower, upper = lanes.chunk(2, dim=-1)
        lanes = add_floats(lower, upper)
    result = torch.zeros(outer, dtype=torch.float32, device=rows.device)
    for position in range(lanes.shape[-2]):
        result = add_floats(result, lanes[..., position, 0])
    return positive_zero(canonical(words(result)))


def accumulate(shape: torch.Size, products: Iterable[Tensor], device: torch.device) -> Tensor:
    """Sum of tensors of products, each of ``shape``: chunks of 256 in ascending order, one accumulator each."""
    zero = torch.zeros(shape, dtype=torch.float32, device=device)
    result, chunk, filled = zero, zero, 0
    for product in products:
        chunk = add_floats(chunk, floats(product))
        filled += 1
        if filled == DOT_CHUNK:
            result, chunk, filled = add_floats(result, chunk), zero, 0
    return positive_zero(canonical(words(add_floats(result, chunk))))


def matmul(a: Tensor, b: Tensor, offset: int) -> Tensor:
    """``(*batch, m, k) @ (*batch, k, n)`` of narrowed words; batch dimensions broadcast."""
    shape = torch.Size((*_batch(a, b), a.shape[-2], b.shape[-1]))
    products = (word.mul(a[..., :, k, None], b[..., k, None, :], offset) for k in range(a.shape[-1]))
    return accumulate(shape, products, a.device)


def matmul_grad(p: Tensor, q: Tensor, grad: Tensor, offset: int) -> Tensor:
    """Exact derivative of ``p @ q`` by ``p``; all three narrowed words."""
    shape = _batch(p, q, grad) + p.shape[-2:]
    terms = (word.mul_grad(grad[..., :, j, None], p, q[..., None, :, j], offset) for j in range(grad.shape[-1]))
    return accumulate(shape, terms, p.device)


def _batch(*matrices: Tensor) -> torch.Size:
    return torch.Size(torch.broadcast_shapes(*(matrix.shape[:-2] for matrix in matrices)))  # type: ignore[no-untyped-call]
