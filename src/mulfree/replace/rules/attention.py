"""Attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.policy import Policy
from mulfree.replace.rules._rule import product_options, rule


def _in_plain_torch(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention in single operations, each of which is replaced or not by its own group."""
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    width = query.new_full((), float(query.shape[-1]))
    scores: Tensor = query @ key.mT
    scores = scores / width.sqrt() if scale is None else scores * scale
    mask = attn_mask
    if is_causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype is torch.bool else scores + mask
    weights = torch.softmax(scores, -1)
    if mask is not None:  # torch's attention gives zero where everything is masked
        weights = weights.masked_fill((scores == float("-inf")).all(-1, keepdim=True), 0.0)
    return torch.dropout(weights, dropout_p, True) @ value


@rule("scaled_dot_product_attention", groups=("matmul", "softmax"), composition=_in_plain_torch)
def _attention(policy: Policy, *args: Any, **kwargs: Any) -> Tensor:
    options = product_options(policy) | {"softmax_derivative": policy.softmax.derivative}
    result: Tensor = MF.scaled_dot_product_attention(*args, **(kwargs | options))
    return result
