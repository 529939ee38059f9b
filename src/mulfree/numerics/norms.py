"""The law on batch norm (``docs/spec.md``, section 7): a channel is a row of layer norm with one weight and bias."""

from __future__ import annotations

from mulfree.numerics import rows
from mulfree.numerics.rows import Row
from mulfree.numerics.scalar import add, bits, div, mul, negate


def batch_norm(channel: Row, weight: int, bias: int, eps: float) -> list[int]:
    """((x - mean) / sqrt(var + eps)) * weight + bias; ``channel`` is in the order (batch, position)."""
    return rows.layer_norm(channel, [weight] * len(channel), [bias] * len(channel), eps)


def batch_norm_grad(grad: Row, channel: Row, weight: int, eps: float, exact: bool) -> tuple[list[int], int, int]:
    """Gradients by the channel, its weight and its bias."""
    by_channel, terms = rows.layer_norm_grad(grad, channel, [weight] * len(channel), eps, exact)
    return by_channel, rows.total(terms), rows.total(grad)


def moments(channel: Row) -> tuple[int, int]:
    """The mean, and the unbiased variance div(sum of the centred squares, n - 1)."""
    middle = rows.mean(channel)
    centred = [add(x, negate(middle)) for x in channel]
    return middle, div(rows.total([mul(c, c) for c in centred]), bits(float(len(channel) - 1)))


def running(old: int, new: int, momentum: int) -> int:
    """One step of a running statistic: old + (new - old) * momentum, whose fixed point is ``new``."""
    return add(old, mul(add(new, negate(old)), momentum))
