"""Multi-head attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.functional import Derivative
from mulfree.functional._attention import attend, attention_weights


class MultiheadAttention(torch.nn.MultiheadAttention):
    """``torch.nn.MultiheadAttention`` in PA arithmetic.

    The constructor, the initialization, the state dict and the call are torch's. ``derivative`` is that of
    every operation inside, ``mantissa_bits`` and ``compensation`` belong to its matrix products.

    Deviations: returned attention weights are averaged over the heads by PAD; nested tensors are not supported.
    """

    def __init__(
        self,
        *args: Any,
        derivative: Derivative = "approximate",
        mantissa_bits: int = 23,
        compensation: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.derivative: Derivative = derivative
        self.mantissa_bits = mantissa_bits
        self.compensation = compensation

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """See torch. ``attn_mask`` and ``key_padding_mask``: True excludes a key; floats are added to the scores."""
        if is_causal and attn_mask is None:
            raise RuntimeError("MultiheadAttention: is_causal is a hint about attn_mask, which must be given with it")
        batched = query.dim() == 3
        if query.dim() not in (2, 3) or not query.dim() == key.dim() == value.dim():
            raise RuntimeError(
                "MultiheadAttention: query, key and value must all have 2 or all have 3 dimensions, "
                f"got {query.dim()}, {key.dim()} and {value.dim()}"
            )
        if not batched:
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = _swapped(query, key, value)
        q, k, v = self._projected(query, key, value)
        mask = self._mask(attn_mask, key_padding_mask, q, key.shape[1])
        k, v, mask = self._with_extra_keys(k, v, mask)
        q, k, v = (x.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2) for x in (q, k, v))
        weights = attention_weights(q, k, mask, None, self.derivative, self.mantissa_bits, self.compensation)
        kept = MF.dropout(weights, self.dropout, self.training)
        heads = attend(kept, v, self.derivative, self.mantissa_bits, self.compensation)
        result = self._product(heads.transpose(1, 2).flatten(-2), self.out_proj.weight, self.out_proj.bias)
        shown = kept if need_weights else None
        if shown is not None and average_attn_weights:
            shown = MF.mean(shown, 1, derivative=self.derivative)
        if not batched:
            return result.squeeze(0), None if shown is None else shown.squeeze(0)
        return result if self.batch_first else result.transpose(0, 1), shown

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return MF.linear(
            x,
            weight,
            bias,
            derivative=self.derivative,
            mantissa_bits=self.mantissa_bits,
            compensation=self.compensation,
        )

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(batch, length, embed_dim)`` each."""
        if query is key and key is value and self._qkv_same_embed_dim:
            q, k, v = self._product(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
            return q, k, v
        if self._qkv_same_embed_dim:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q, k, v = (
            self._product(x, weight, bias) for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        return q, k, v

    def _mask(self, attn_mask: Tensor | None, padding: Tensor | None, q: Tensor, keys: int) -> Tensor | None:
        """Both masks as one that is added to the scores ``(batch, heads, queries, keys)``."""
        batch, queries = q.shape[:2]
        mask = None
        if attn_mask is not None:
            shapes = [(queries, keys), (batch * self.num_heads, queries, keys)]
            _check_shape("attn_mask", attn_mask, *shapes)
            mask = _additive("attn_mask", attn_mask, q.dtype)
            if mask.dim() == 3:
                mask = mask.view(batch, self.num_heads, queries, keys)
        if padding is not None:
            _check_shape("key_padding_mask", padding, (batch, keys))
            added = _additive("key_padding_mask", padding, q.dtype)[:, None, None, :]
            mask = added if mask is None else mask + added
        return mask

    def _with_extra_keys(self, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Appends the learned key and value and the zero ones, if asked for; no mask covers them."""
        batch, keys, size = k.shape
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(batch, 1, size)], 1)
            v = torch.cat([v, self.bias_v.expand(batch, 1, size)], 1)
        if self.add_zero_attn:
            zero = k.new_zeros(batch, 1, size)
            k, v = torch.cat([k, zero], 1), torch.cat([v, zero], 1)
        if mask is not None and k.shape[1] > keys:
            mask = torch.nn.functional.pad(mask, (0, k.shape[1] - keys))
        return k, v, mask


def _swapped(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Batch first; operands that are one tensor stay one."""
    swapped = query.transpose(0, 1)
    keys = swapped if key is query else key.transpose(0, 1)
    return swapped, keys, keys if value is key else value.transpose(0, 1)


def _check_shape(name: str, mask: Tensor, *shapes: tuple[int, ...]) -> None:
    if tuple(mask.shape) not in shapes:
        expected = " or ".join(map(str, shapes))
        raise RuntimeError(f"MultiheadAttention: {name} must be {expected}, got {tuple(mask.shape)}")


def _additive(name: str, mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype is torch.bool:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, float("-inf"))
    if mask.dtype is not dtype:
        raise TypeError(f"MultiheadAttention: {name} must be bool or {dtype} like the query, got {mask.dtype}")
    return mask
