"""Dropout and attention."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mulfree.functional._elementwise import mul
from mulfree.functional._options import Derivative, Derivatives, MantissaBits, are_exact, is_exact, offset, precision
from mulfree.functional._rows import softmax
from mulfree.numerics import scalar
from mulfree.numerics.random import dropout_threshold
from mulfree.ops import matmul as products
from mulfree.ops.attention import DROP_ALL, KEPT, attention
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
    _check_probability(p)
    if not training or p == 0.0:
        return input
    if p == 1.0:
        result = input.masked_fill(torch.ones_like(input, dtype=torch.bool), 0.0)
    else:
        seed = torch.randint(_SEEDS, (1,), device=input.device)
        result = _dropped(input, seed, *_threshold_and_scale(p))
    return input.copy_(result) if inplace else result


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


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
    softmax_derivative: Derivative | None = None,
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.scaled_dot_product_attention`` with PA products and softmax.

    The scale (by default 1 / sqrt(d) in PA arithmetic) enters each product of the scores as a compensation
    does: one integer addition, no further operation. A scale that is not positive and normal multiplies the query.
    The scores are computed in blocks, and again in the backward pass: no tensor of their size is kept, unless
    ``attn_mask`` asks for a gradient. Half precision is rounded once, at the end.

    Args:
        query: ``(*batch, l, d)``.
        key: ``(*batch, s, d)``.
        value: ``(*batch, s, v)``.
        attn_mask: broadcasts to ``(*batch, l, s)``; bool (True takes part), float32 or of the query's dtype (added).
        dropout_p: probability of dropping an attention weight, as ``dropout`` of all weights does.
        is_causal: query i sees keys 0 to i, also where l and s differ; excludes ``attn_mask``.
        scale: factor of the scores.
        enable_gqa: query ``(*batch, heads, l, d)`` with a multiple of the heads of key and value; query head i
            attends to key head ``i // (heads / key heads)``.
        derivative: of the products and, if one choice, of the softmax; a pair is for the products only.
        softmax_derivative: of the softmax, if not as said by ``derivative``.
        mantissa_bits, compensation: of both matrix products.

    Returns:
        ``(*batch, l, v)``. A row whose scores are all -inf (or so low that log2(e) times them is) gives +0.

    Raises:
        RuntimeError: shapes that do not agree; both ``attn_mask`` and ``is_causal``.
        TypeError: dtypes that do not agree.
        ValueError: ``dropout_p`` is not between 0 and 1.
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention(): attn_mask must be None if is_causal is set")
    if enable_gqa:
        query, key, value, attn_mask, groups = _grouped(query, key, value, attn_mask)
    else:
        groups = 1
    query, scale_offset = _scaled(query, _default_scale(query) if scale is None else scale)
    added = offset(compensation)
    result: Tensor = attention(
        query,
        key,
        value,
        attn_mask,
        *_dropout_settings(dropout_p, query),
        is_causal,
        precision(mantissa_bits),
        scale_offset + added,
        added,
        *are_exact(derivative),
        _is_softmax_exact(derivative, softmax_derivative),
        _keeps_scores(query, key, value, attn_mask),
    )[0]
    return result if groups == 1 else result.flatten(-4, -3)


def _keeps_scores(*operands: Tensor | None) -> bool:
    """Whether there will be a backward pass and so few scores that they may wait for it."""
    if not torch.is_grad_enabled() or not any(x is not None and x.requires_grad for x in operands):
        return False
    query, key = operands[:2]
    assert query is not None and key is not None
    return query.dim() > 1 and key.dim() > 1 and query.shape[:-1].numel() * key.shape[-2] <= KEPT


def _default_scale(query: Tensor) -> float:
    """1 / sqrt(d); 1 for d = 0, where there is nothing to scale."""
    return quotient(1.0, root(float(query.shape[-1]))) if query.dim() and query.shape[-1] else 1.0


def _dropout_settings(p: float, query: Tensor) -> tuple[Tensor | None, int, int]:
    """Seed, threshold and bits of the scale; no seed for no dropout."""
    _check_probability(p)
    if p == 0.0:
        return None, 0, 0
    seed = torch.randint(_SEEDS, (1,), device=query.device)
    return (seed, DROP_ALL, 0) if p == 1.0 else (seed, *_threshold_and_scale(p))


def _is_softmax_exact(derivative: Derivatives, softmax_derivative: Derivative | None) -> bool:
    if softmax_derivative is not None:
        return is_exact(softmax_derivative)
    return isinstance(derivative, str) and is_exact(derivative)


def _grouped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int]:
    """The operands with heads ``(key heads, group)``, group 1 for key and value, and the size of a group."""
    if min(query.dim(), key.dim(), value.dim()) < 3:
        raise RuntimeError("scaled_dot_product_attention(): enable_gqa needs a dimension of heads in every operand")
    heads, kept = query.shape[-3], key.shape[-3]
    if kept != value.shape[-3] or kept == 0 or heads % kept:
        raise RuntimeError(
            "scaled_dot_product_attention(): enable_gqa needs heads of query that are a multiple of those of key, and "
            f"as many of value as of key, got {heads}, {kept} and {value.shape[-3]}"
        )
    groups = heads // kept
    if groups == 1:
        return query, key, value, mask, 1
    query, key, value = query.unflatten(-3, (kept, groups)), key.unsqueeze(-3), value.unsqueeze(-3)
    if mask is not None and mask.dim() > 2:
        mask = mask.unsqueeze(-3) if mask.shape[-3] == 1 else mask.unflatten(-3, (kept, groups))
    return query, key, value, mask, groups


def attention_weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    scale: float | None,
    derivative: Derivatives,
    mantissa_bits: MantissaBits,
    compensation: float | None,
) -> Tensor:
    """Softmax of the scaled scores plus ``mask``: ``(*batch, l, d), (*batch, s, d) -> (*batch, l, s)``."""
    query, scale_offset = _scaled(query, _default_scale(query) if scale is None else scale)
    added = scale_offset + offset(compensation)
    scores: Tensor = products.matmul(query, key.mT, precision(mantissa_bits), added, *are_exact(derivative))
    if mask is not None:
        if mask.dtype is not scores.dtype:
            raise TypeError(f"attention: the mask must be bool or {scores.dtype} like the query, got {mask.dtype}")
        scores = scores + mask
    return softmax(scores, -1, derivative=derivative if isinstance(derivative, str) else "approximate")


def attend(
    weights: Tensor, value: Tensor, derivative: Derivatives, mantissa_bits: MantissaBits, compensation: float | None
) -> Tensor:
    """``(*batch, l, s), (*batch, s, v) -> (*batch, l, v)``."""
    result: Tensor = products.matmul(
        weights, value, precision(mantissa_bits), offset(compensation), *are_exact(derivative)
    )
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
