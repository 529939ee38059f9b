"""Dropout and attention."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mulfree.functional._elementwise import mul
from mulfree.functional._options import Derivatives, are_exact, offset
from mulfree.functional._rows import softmax
from mulfree.numerics import scalar
from mulfree.numerics.random import dropout_threshold
from mulfree.ops import matmul as products
from mulfree.ops.constants import difference, host_only, quotient, root
from mulfree.ops.dropout import dropout as _dropped

_SEEDS = (1 << 63) - 1
"""Dropout's seeds are below; the largest range of int64."""


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``torch.nn.functional.dropout``: kept values become ``mul(x, div(1, 1 - p))``, dropped ones +0.

    An element is dropped if its random word, 32 bits, is below p; the words are a function of the element's place
    and of a seed of 63 bits that each call draws from torch's default generator (spec 8). They are not the random
    numbers that torch's dropout would take.

    Raises:
        ValueError: p is not between 0 and 1.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        result = input.masked_fill(torch.ones_like(input, dtype=torch.bool), 0.0)
    else:
        seed = torch.randint(_SEEDS, (1,), device=input.device)
        result = _dropped(input, seed, *_threshold_and_scale(p))
    return input.copy_(result) if inplace else result


@host_only
def _threshold_and_scale(p: float) -> tuple[int, int]:
    """The word below which an element is dropped, and the bits of 1 / (1 - p) in PA arithmetic."""
    return _settings(p)


@lru_cache(maxsize=256)
def _settings(p: float) -> tuple[int, int]:
    return dropout_threshold(p), scalar.bits(quotient(1.0, difference(1.0, p)))


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: int = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.scaled_dot_product_attention`` with PA products and softmax.

    The scale (by default 1 / sqrt(d) in PA arithmetic) enters each product of the scores as a compensation
    does: one integer addition, no further operation.

    Args:
        query: ``(*batch, l, d)``.
        key: ``(*batch, s, d)``.
        value: ``(*batch, s, v)``.
        attn_mask: broadcasts to ``(*batch, l, s)``; bool (True takes part) or of the query's dtype (added).
        dropout_p: probability of dropping an attention weight.
        is_causal: query i sees keys 0 to i; excludes ``attn_mask``.
        derivative: of the products and, if one choice, of the softmax; a pair is for the products only.
        mantissa_bits, compensation: of both matrix products.

    Returns:
        ``(*batch, l, v)``. A row whose keys are all masked is NaN.

    Raises:
        NotImplementedError: ``enable_gqa``.
    """
    if enable_gqa:
        raise NotImplementedError("scaled_dot_product_attention(): enable_gqa is not supported")
    mask = _causal_mask(query, key, attn_mask) if is_causal else attn_mask
    if mask is not None and mask.dtype is torch.bool:
        mask = torch.zeros(mask.shape, dtype=query.dtype, device=mask.device).masked_fill(~mask, float("-inf"))
    weights = attention_weights(query, key, mask, scale, derivative, mantissa_bits, compensation)
    return attend(dropout(weights, dropout_p), value, derivative, mantissa_bits, compensation)


def _causal_mask(query: Tensor, key: Tensor, attn_mask: Tensor | None) -> Tensor:
    if attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention(): attn_mask must be None if is_causal is set")
    return torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()


def attention_weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    scale: float | None,
    derivative: Derivatives,
    mantissa_bits: int,
    compensation: float | None,
) -> Tensor:
    """Softmax of the scaled scores plus ``mask``: ``(*batch, l, d), (*batch, s, d) -> (*batch, l, s)``."""
    query, scale_offset = _scaled(query, quotient(1.0, root(float(query.shape[-1]))) if scale is None else scale)
    added = scale_offset + offset(compensation)
    scores: Tensor = products.matmul(query, key.mT, mantissa_bits, added, *are_exact(derivative))
    if mask is not None:
        if mask.dtype is not scores.dtype:
            raise TypeError(f"attention: the mask must be bool or {scores.dtype} like the query, got {mask.dtype}")
        scores = scores + mask
    return softmax(scores, -1, derivative=derivative if isinstance(derivative, str) else "approximate")


def attend(
    weights: Tensor, value: Tensor, derivative: Derivatives, mantissa_bits: int, compensation: float | None
) -> Tensor:
    """``(*batch, l, s), (*batch, s, v) -> (*batch, l, v)``."""
    result: Tensor = products.matmul(weights, value, mantissa_bits, offset(compensation), *are_exact(derivative))
    return result


def _scaled(query: Tensor, scale: float) -> tuple[Tensor, int]:
    """The query and the offset that scales its products; an unusual scale multiplies the query instead."""
    if _is_normal(scale):
        return query, offset(scale)
    return mul(query, scale), 0


@host_only
def _is_normal(number: float) -> bool:
    word = scalar.bits(number)
    return number > 0 and not (scalar.is_zero(word) or scalar.is_infinite(word))
