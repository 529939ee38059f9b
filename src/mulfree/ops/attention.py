"""The operation ``attention``, with the bits of the composition of its steps (spec 7).

Both passes work on blocks of heads and rows of the scores, ``(*batch, l, s)``. The backward pass computes the scores
of a block again, unless they were few enough to keep (``keep``): larger ones are never held as a whole. A block is
some heads of ``(l, s)``, or ``DOT_CHUNK`` rows of one head: a chunk of the sums over l that the gradients of key and
value are, so that adding the blocks in order is adding the chunks in order. Half-precision operands are widened
exactly, computed as float32 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.numerics.formats import DOT_CHUNK
from mulfree.ops.checks import are_plain, broadcast_shape, check_floats, check_mantissa_bits
from mulfree.ops.precision import backward_bits, forward_bits
from mulfree.ops.reductions import sum_to
from mulfree.ops.registry import Operation, define

BLOCK = 1 << 19
"""Scores in a block of heads, if there are so few in a head: what a core's cache holds."""

DEVICE_BLOCK = 1 << 24
"""The same on other devices, 64 MiB: enough work for all their multiprocessors at once, in few launches."""

KEPT = 1 << 22
"""As many scores, 16 MiB, may be kept for the backward pass."""

DROP_ALL = 1 << 32
"""The threshold of dropout that no random word reaches."""


@dataclass(frozen=True)
class _How:
    """The numbers among the arguments, in their order in the schema."""

    threshold: int
    kept_scale: int
    causal: bool
    mantissa_bits: int
    score_offset: int
    offset: int
    exact_left: bool
    exact_right: bool
    exact_softmax: bool
    keep: bool


@dataclass(frozen=True)
class _Block:
    """Rows ``rows`` of heads ``heads``: all the (scores, softmax's stats, weights, weights after dropout)."""

    heads: slice
    rows: slice
    query: Tensor
    key: Tensor
    value: Tensor
    scores: Tensor
    stats: Tensor
    masked: Tensor | None
    weights: Tensor


class _Attention:
    """One call: operands with their batch dimensions flattened to heads, and how to compute a block."""

    def __init__(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, seed: Tensor | None, how: _How):
        self.backend = for_tensor(query)
        self.batch = _batch(query, key, value)
        self.heads = math.prod(self.batch)
        self.query, self.key, self.value = (
            x.expand(*self.batch, *x.shape[-2:]).reshape(self.heads, *x.shape[-2:]) for x in (query, key, value)
        )
        self.shape = query.shape[-2], key.shape[-2]
        self.seed, self.how = seed, how
        self.backward_bits = backward_bits(how.mantissa_bits)
        self.mask = self.mask_of_head = None
        if mask is not None:
            mask = mask[(None,) * (2 - mask.dim())] if mask.dim() < 2 else mask
            self.mask = mask.reshape(math.prod(mask.shape[:-2]), *mask.shape[-2:])
            numbers = torch.arange(self.mask.shape[0], device=mask.device).view(mask.shape[:-2])
            self.mask_of_head = numbers.expand(self.batch).reshape(-1)

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Heads and rows of the blocks, in ascending order; none where there are no scores."""
        queries, keys = self.shape
        scores, most = queries * keys, BLOCK if self.query.is_cpu else DEVICE_BLOCK
        if not scores:
            return
        whole_heads = queries <= DOT_CHUNK or scores <= most
        heads, rows = (max(1, most // scores), queries) if whole_heads else (1, DOT_CHUNK)
        for head in range(0, self.heads, heads):
            for row in range(0, queries, rows):
                yield slice(head, min(head + heads, self.heads)), slice(row, min(row + rows, queries))

    def scores(self, heads: slice, rows: slice) -> Tensor:
        """``(heads, rows, s)``, the mask added."""
        how, query, key = self.how, self.query[heads, rows].float(), self.key[heads].float()
        scores = self.backend.matmul(query, key.mT, None, forward_bits(how.mantissa_bits), how.score_offset)
        added = self._added(heads, rows)
        return scores if added is None else scores.add_(added)

    def block(self, heads: slice, rows: slice, scores: Tensor) -> _Block:
        query, key, value = self.query[heads, rows].float(), self.key[heads].float(), self.value[heads].float()
        weights, stats = self.backend.softmax(scores.view(-1, scores.shape[-1]))
        masked = _masked_rows(stats)
        if masked is not None:
            weights.masked_fill_(masked, 0.0)
        return _Block(heads, rows, query, key, value, scores, stats, masked, weights.view(scores.shape))

    def _added(self, heads: slice, rows: slice) -> Tensor | None:
        """What is added to the scores of a block."""
        if self.how.causal:
            count, seen = rows.stop - rows.start, rows.start + 1
            return self.query.new_full((count, self.shape[1]), -math.inf, dtype=torch.float32).triu(seen)
        if self.mask is None or self.mask_of_head is None:
            return None
        mask = self.mask if self.mask.shape[0] == 1 else self.mask[self.mask_of_head[heads]]
        if mask.shape[1] != 1:
            mask = mask[:, rows]
        if mask.dtype is torch.bool:
            return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -math.inf)
        return mask.float()

    def drop(self, x: Tensor, heads: slice, rows: slice) -> Tensor:
        """Dropout of weights of a block, or of their gradient."""
        if self.seed is None:
            return x
        if self.how.threshold == DROP_ALL:
            return torch.zeros_like(x)
        queries, keys = self.shape
        head: int = heads.start
        row: int = rows.start
        first = (head * queries + row) * keys
        return self.backend.dropout(x, self.seed, self.how.threshold, self.how.kept_scale, first)

    def mixed(self, weights: Tensor, value: Tensor) -> Tensor:
        """The values of a block by their weights."""
        return self.backend.matmul(weights, value, None, forward_bits(self.how.mantissa_bits), self.how.offset)

    def by_left(self, grad: Tensor, a: Tensor, b: Tensor, offset: int) -> Tensor:
        """Derivative of ``a @ b`` by a."""
        if self.how.exact_left:
            return self.backend.matmul_grad(a, b, grad, self.backward_bits, offset)
        return self.backend.matmul(grad, b.mT, None, self.backward_bits, offset)

    def by_right(self, grad: Tensor, a: Tensor, b: Tensor, offset: int) -> Tensor:
        """Derivative of ``a @ b`` by b."""
        if self.how.exact_right:
            return self.backend.matmul_grad(b.mT, a.mT, grad.mT, self.backward_bits, offset).mT
        return self.backend.matmul(a.mT, grad, None, self.backward_bits, offset)

    def sum_rows(self, total: Tensor, heads: slice, rows: slice, part: Tensor) -> None:
        """Adds the chunk of a sum over l that a block is."""
        if rows.start:
            part = self.backend.sum(torch.stack([total[heads], part]), (0,))
        total[heads] = part


def _batch(*operands: Tensor) -> torch.Size:
    batch = operands[0].shape[:-2]
    for x in operands[1:]:
        batch = broadcast_shape(batch, x.shape[:-2])
    return batch


def _masked_rows(stats: Tensor) -> Tensor | None:
    """Which rows are all -inf, whose shift is -inf: one column. None where the processor sees that there is none."""
    masked = stats[:, :1] == -math.inf
    return None if masked.is_cpu and not bool(masked.any()) else masked


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, seed: Tensor | None, *numbers: Any) -> None:
    name = "scaled_dot_product_attention"
    if not are_plain(query, key, value):
        check_floats(name, query=query, key=key, value=value)
    check_mantissa_bits(name, _How(*numbers).mantissa_bits)
    shapes = [tuple(x.shape) for x in (query, key, value)]
    if min(map(len, shapes)) < 2:
        raise RuntimeError(f"{name}(): query, key and value must have at least 2 dimensions, got {shapes}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"{name}(): query (..., l, d), key (..., s, d) and value (..., s, v) must agree in d and in s, got {shapes}"
        )
    if mask is None:
        return
    if mask.dtype not in (torch.bool, torch.float32, query.dtype):
        raise TypeError(f"{name}(): attn_mask must be bool, float32 or {query.dtype}, got {mask.dtype}")
    if mask.device != query.device:
        raise RuntimeError(f"{name}(): attn_mask must be on {query.device} like query, got {mask.device}")
    scores = (*_batch(query, key, value), query.shape[-2], key.shape[-2])
    sizes = zip(reversed(mask.shape), reversed(scores), strict=False)
    if mask.dim() > len(scores) or any(own not in (1, size) for own, size in sizes):
        raise RuntimeError(f"{name}(): attn_mask must broadcast to {scores}, got {tuple(mask.shape)}")


def _attention(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    _check(query, key, value, *rest)
    mask, seed, *numbers = rest
    call = _Attention(query, key, value, mask, seed, _How(*numbers))
    kept = _float_zeros(_kept_shape(query, key, value, call.how), query)
    out = torch.zeros(call.heads, query.shape[-2], value.shape[-1], dtype=torch.float32, device=query.device)
    for heads, rows in call.blocks():
        scores = call.scores(heads, rows)
        if call.how.keep:
            kept[heads, rows] = scores
        block = call.block(heads, rows, scores)
        out[heads, rows] = call.mixed(call.drop(block.weights, heads, rows), block.value)
    return round_to(out.view(*call.batch, *out.shape[1:]), query.dtype), kept


def _kept_shape(query: Tensor, key: Tensor, value: Tensor, how: _How) -> tuple[int, ...]:
    """Heads flattened; empty if the scores are not kept."""
    heads = math.prod(_batch(query, key, value))
    return (heads, query.shape[-2], key.shape[-2]) if how.keep else (0,)


def _attention_fake(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    _check(query, key, value, *rest)
    kept = query.new_empty(_kept_shape(query, key, value, _How(*rest[2:])), dtype=torch.float32)
    return query.new_empty((*_batch(query, key, value), query.shape[-2], value.shape[-1])), kept


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.numbers = inputs[5:]
    ctx.save_for_backward(*inputs[:5], output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return *(None for _ in range(5)), *(None for _ in ctx.numbers)
    *tensors, kept = ctx.saved_tensors
    needs = tuple(ctx.needs_input_grad[:4])
    grads = attention_grad(grad, kept, *tensors, *ctx.numbers, needs)
    by_inputs = [
        sum_to(found, x) if needed else None for found, x, needed in zip(grads, tensors[:4], needs, strict=True)
    ]
    return *by_inputs, None, *(None for _ in ctx.numbers)


def _attention_grad(grad: Tensor, kept: Tensor, *args: Any) -> tuple[Tensor, ...]:
    (query, key, value, mask, seed), numbers, needs = args[:5], args[5:-1], args[-1]
    _check(query, key, value, mask, seed, *numbers)
    how = _How(*numbers)
    call = _Attention(query, key, value, mask, seed, how)
    grads = tuple(_float_zeros(shape, grad) for shape in _grad_shapes(query, key, value, needs))
    by_query, by_key, by_value, by_mask = (x.view(call.heads, *x.shape[-2:]) if x.dim() > 1 else x for x in grads)
    needs_query, needs_key, needs_value, needs_mask = needs
    upstream = grad.reshape(call.heads, *grad.shape[-2:])
    for heads, rows in call.blocks():
        scores = kept[heads, rows] if how.keep else call.scores(heads, rows)
        block, g = call.block(heads, rows, scores.contiguous()), upstream[heads, rows].float()
        weights = call.drop(block.weights, heads, rows)
        if needs_value:
            call.sum_rows(by_value, heads, rows, call.by_right(g, weights, block.value, how.offset))
        if not (needs_query or needs_key or needs_mask):
            continue
        by_scores = _by_scores(call, block, call.by_left(g, weights, block.value, how.offset))
        if needs_query:
            by_query[heads, rows] = call.by_left(by_scores, block.query, block.key.mT, how.score_offset)
        if needs_key:
            by_transposed = call.by_right(by_scores, block.query, block.key.mT, how.score_offset)
            call.sum_rows(by_key, heads, rows, by_transposed.mT)
        if needs_mask:
            by_mask[heads, rows] = by_scores
    return grads


def _by_scores(call: _Attention, block: _Block, by_kept: Tensor) -> Tensor:
    """Derivative by the scores of a block from that by its weights after dropout; +0 in rows that are all masked."""
    by_weights = call.drop(by_kept, block.heads, block.rows)
    columns = block.scores.shape[-1]
    result = call.backend.softmax_grad(
        by_weights.view(-1, columns), block.scores.view(-1, columns), block.stats, call.how.exact_softmax
    )
    if block.masked is not None:
        result.masked_fill_(block.masked, 0.0)
    return result.view(block.scores.shape)


def _grad_shapes(query: Tensor, key: Tensor, value: Tensor, needs: tuple[bool, ...]) -> list[tuple[int, ...]]:
    """Shapes of the gradients before broadcast batch dimensions are summed; ``(0,)`` for those not needed."""
    batch = _batch(query, key, value)
    shapes = [(*batch, *x.shape[-2:]) for x in (query, key, value)] + [(*batch, query.shape[-2], key.shape[-2])]
    return [shape if needed else (0,) for shape, needed in zip(shapes, needs, strict=True)]


def _float_zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.zeros(shape, dtype=torch.float32, device=like.device)


def _attention_grad_fake(grad: Tensor, kept: Tensor, *args: Any) -> tuple[Tensor, ...]:
    shapes = _grad_shapes(args[0], args[1], args[2], args[-1])
    return tuple(grad.new_empty(shape, dtype=torch.float32) for shape in shapes)


_ARGUMENTS = (
    "Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor? seed, int threshold, int kept_scale, bool causal, "
    "int mantissa_bits, int score_offset, int offset, bool exact_left, bool exact_right, bool exact_softmax, bool keep"
)

attention_grad: Operation = define(
    f"attention_grad(Tensor grad, Tensor kept, {_ARGUMENTS}, bool[] needs) -> (Tensor, Tensor, Tensor, Tensor)",
    _attention_grad,
    _attention_grad_fake,
)
"""Derivatives of ``attention`` by query, key, value and mask, float32, batch dimensions not summed."""

attention: Operation = define(
    f"attention({_ARGUMENTS}) -> (Tensor, Tensor)", _attention, _attention_fake, setup=_setup, backward=_backward
)
"""``(*batch, l, d), (*batch, s, d), (*batch, s, v) -> (*batch, l, v)``, batch dimensions broadcast; the mask (bool, or
added to the scores) broadcasts to ``(*batch, l, s)``. No dropout if ``seed`` (int64, one element) is None.
The second result is what ``keep`` keeps for the backward pass."""
