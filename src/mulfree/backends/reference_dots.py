"""Sums and matrix products on tensors of words, in the law's orders (spec 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from mulfree.backends import reference_words as word
from mulfree.backends.reference_words import add_floats, canonical, floats, flush, positive_zero, words
from mulfree.numerics.formats import DOT_CHUNK, INF, MAGNITUDE, MIN, ONE, SIGN, SUM_CHUNK, SUM_LANES


def total(rows: Tensor) -> Tensor:
    """Sum over the last dimension: chunks of 1024, 32 lanes in a chunk, lanes added as a tree, chunks in order."""
    *outer, n = rows.shape
    # Appended zeros, or lanes left out that would hold nothing else, change no sum but the sign of a zero,
    # which is settled at the end.
    width = min(SUM_LANES, 1 << max(0, n - 1).bit_length())
    chunk = SUM_CHUNK if n > SUM_CHUNK else -(-n // width) * width or width
    terms = floats(flush(torch.nn.functional.pad(rows, (0, -n % chunk))))
    terms = terms.view(*outer, -(-n // chunk), chunk // width, width)
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
    """Words of the sum of float32 tensors of ``shape``: chunks of 256 in ascending order, one accumulator each."""
    zero = torch.zeros(shape, dtype=torch.float32, device=device)
    result, chunk, filled = zero, zero, 0
    for product in products:
        chunk = add_floats(chunk, product)
        filled += 1
        if filled == DOT_CHUNK:
            result, chunk, filled = add_floats(result, chunk), zero, 0
    return positive_zero(canonical(words(add_floats(result, chunk))))


def matmul(a: Tensor, b: Tensor, offset: int) -> Tensor:
    """``(*batch, m, k) @ (*batch, k, n)`` of narrowed words; batch dimensions broadcast."""
    shape = torch.Size((*_batch(a, b), a.shape[-2], b.shape[-1]))
    finite = bool((a & MAGNITUDE < INF).all() and (b & MAGNITUDE < INF).all())
    products = _finite_products(a, b, offset) if finite else _products(a, b, offset)
    return accumulate(shape, products, a.device)


def _products(a: Tensor, b: Tensor, offset: int) -> Iterator[Tensor]:
    for k in range(a.shape[-1]):
        yield floats(word.mul(a[..., :, k, None], b[..., k, None, :], offset))


_FAR = 1 << 40
"""Minus this stands for the magnitude of zero: no other magnitude brings the sum back into range."""


def _finite_products(a: Tensor, b: Tensor, offset: int) -> Iterator[Tensor]:
    """The same where no operand is infinite or NaN: one sum and two clamps, the rest done once per operand."""
    left = torch.where(word.is_zero(a), -_FAR, (a & MAGNITUDE) - ONE + offset)
    right = torch.where(word.is_zero(b), -_FAR, b & MAGNITUDE)
    left_sign, right_sign = (floats(x & SIGN).view(torch.int32) for x in (a, b))
    for k in range(a.shape[-1]):
        total = left[..., :, k, None] + right[..., k, None, :]
        magnitude = torch.where(total < MIN, 0, total.clamp(max=INF)).to(torch.int32)
        yield (magnitude | (left_sign[..., :, k, None] ^ right_sign[..., k, None, :])).view(torch.float32)


def matmul_grad(p: Tensor, q: Tensor, grad: Tensor, offset: int) -> Tensor:
    """Exact derivative of ``p @ q`` by ``p``; all three narrowed words."""
    shape = _batch(p, q, grad) + p.shape[-2:]
    terms = (floats(word.mul_grad(grad[..., :, j, None], p, q[..., None, :, j], offset)) for j in range(grad.shape[-1]))
    return accumulate(shape, terms, p.device)


def _batch(*matrices: Tensor) -> torch.Size:
    return torch.Size(torch.broadcast_shapes(*(matrix.shape[:-2] for matrix in matrices)))
