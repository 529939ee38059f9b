"""Distances and similarities of vectors, and the losses that compare them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._composing import absolute, expanded, root_or_zero
from mulfree.functional._elementwise import div, mul, pow, sqrt
from mulfree.functional._options import Derivative, is_exact, whole_dim
from mulfree.functional._reduction import Reduction, check_options, paired, reduced
from mulfree.functional._sums import sum
from mulfree.functional._widening import all_widened
from mulfree.ops.constants import product

_COSINE_EPS = 1e-12
"""Added to the squared lengths in ``cosine_embedding_loss``, as in torch."""


def vector_norm(x: Tensor, p: float, dim: int, keepdim: bool, derivative: Derivative) -> Tensor:
    """PA p-norm of float32 ``x`` along ``dim``: ``pow``, sum, root; |x| and its maximum for 1 and infinity.

    The gradient of the norm zero is zero, as in torch.
    """
    if p == 2:
        return root_or_zero(sum(mul(x, x, derivative=derivative), dim, keepdim), 2, derivative)
    distances = absolute(x)
    if p == math.inf:
        return distances.max(dim, keepdim).values
    if p == 0:
        return sum((x != 0).to(x.dtype), dim, keepdim)
    if p == 1:
        return sum(distances, dim, keepdim)
    zero = distances == 0
    powers = pow(distances.masked_fill(zero, 1.0), p, derivative=derivative).masked_fill(zero, 0.0)
    return root_or_zero(sum(powers, dim, keepdim), p, derivative)


def pairwise_distance(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    eps: float = 1e-6,
    keepdim: bool = False,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.pairwise_distance``: the p-norm of x1 - x2 + eps over the last dimension.

    ``sqrt(sum(mul(d, d)))`` for p = 2; for other p ``exp2(div(log2(sum(pow(|d|, p))), p))``.

    Raises:
        NotImplementedError: ``p`` is negative.
    """
    is_exact(derivative)
    if not p >= 0:
        raise NotImplementedError(f"pairwise_distance(): p must not be negative, got {p}")
    dtype, (a, b) = all_widened("pairwise_distance", x1=x1, x2=x2)
    shape = torch.broadcast_shapes(a.shape, b.shape)
    d = expanded(a, shape) - expanded(b, shape) + eps
    return round_to(vector_norm(d, p, -1, keepdim, derivative), dtype)


def cosine_similarity(
    x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8, *, derivative: Derivative = "approximate"
) -> Tensor:
    """``torch.nn.functional.cosine_similarity``: ``div(sum(mul(a, b)), mul(|a|, |b|))``.

    ``|a| = sqrt(max(sum(mul(a, a)), mul(eps, eps)))``; where the maximum is eps the length has no gradient.
    """
    dtype, (a, b) = all_widened("cosine_similarity", x1=x1, x2=x2)
    shape = torch.broadcast_shapes(a.shape, b.shape)
    a, b = expanded(a, shape), expanded(b, shape)
    along = whole_dim(dim, len(shape))
    least = product(eps, eps)
    lengths = [
        sqrt(sum(mul(x, x, derivative=derivative), along).clamp(min=least), derivative=derivative) for x in (a, b)
    ]
    inner = sum(mul(a, b, derivative=derivative), along)
    return round_to(div(inner, mul(*lengths, derivative=derivative), derivative=derivative), dtype)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.cosine_embedding_loss``: 1 - c where y = 1, max(0, c - margin) where y = -1.

    ``c = div(sum(mul(a, b)), sqrt(mul(sum(mul(a, a)) + 1e-12, sum(mul(b, b)) + 1e-12)))``.

    Args:
        input1, input2: ``(rows, n)``, or ``(n,)`` with a ``target`` without dimensions.
        target: ``(rows,)`` of 1 and -1, any dtype.
    """
    check_options("cosine_embedding_loss", reduction, size_average, reduce)
    dtype, (a, b) = all_widened("cosine_embedding_loss", input1=input1, input2=input2)
    if target.dim() > 1 or not a.dim() == b.dim() == target.dim() + 1:
        raise RuntimeError(
            "cosine_embedding_loss(): 'target' must have one dimension and the inputs two, or none and one, "
            f"got {tuple(target.shape)}, {tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    shape = torch.broadcast_shapes(a.shape, b.shape)
    a, b = expanded(a, shape), expanded(b, shape)
    squares = [sum(mul(x, x, derivative=derivative), -1) + _COSINE_EPS for x in (a, b)]
    length = sqrt(mul(*squares, derivative=derivative), derivative=derivative)
    cosine = div(sum(mul(a, b, derivative=derivative), -1), length, derivative=derivative)
    near = (1 - cosine).masked_fill(target != 1, 0.0)
    far = (cosine - margin).clamp(min=0).masked_fill(target != -1, 0.0)
    return reduced(near + far, reduction, derivative, dtype)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.margin_ranking_loss``: max(0, margin - ``mul(y, x1 - x2)``)."""
    check_options("margin_ranking_loss", reduction, size_average, reduce)
    dtype, (a, b, y) = all_widened("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not a.dim() == b.dim() == y.dim():
        raise RuntimeError(
            "margin_ranking_loss(): all arguments must have as many dimensions, "
            f"got {tuple(a.shape)}, {tuple(b.shape)} and {tuple(y.shape)}"
        )
    a, b = paired("margin_ranking_loss", a, b)
    losses = (margin - mul(y, a - b, derivative=derivative)).clamp(min=0)
    return reduced(losses, reduction, derivative, dtype)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.triplet_margin_loss``: max(0, |a - p| - |a - n| + margin), with ``pairwise_distance``.

    With ``swap`` the distance of positive and negative counts where it is the smaller one.

    Raises:
        ValueError: ``margin`` is not positive.
    """
    check_options("triplet_margin_loss", reduction, size_average, reduce)
    if not margin > 0:
        raise ValueError(f"triplet_margin_loss(): margin must be greater than 0, got {margin}")
    dtype, (a, b, c) = all_widened("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    if not a.dim() == b.dim() == c.dim():
        raise RuntimeError(
            "triplet_margin_loss(): all arguments must have as many dimensions, "
            f"got {tuple(a.shape)}, {tuple(b.shape)} and {tuple(c.shape)}"
        )
    near = pairwise_distance(a, b, p, eps, derivative=derivative)
    far = pairwise_distance(a, c, p, eps, derivative=derivative)
    if swap:
        other = pairwise_distance(b, c, p, eps, derivative=derivative)
        far = torch.where((far <= other) | far.isnan(), far, other)
    near, far = paired("triplet_margin_loss", near, far)
    return reduced((near - far + margin).clamp(min=0), reduction, derivative, dtype)
