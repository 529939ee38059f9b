"""Losses of probabilities and margins of single numbers: binary cross-entropy, divergence, soft margin."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._elementwise import div, exp, log, mul
from mulfree.functional._options import Derivative, is_exact
from mulfree.functional._reduction import Reduction, check_options, paired, reduced
from mulfree.functional._sums import sum
from mulfree.functional._widening import all_widened
from mulfree.ops.constants import readable

_LOWEST_LOG = -100.0
"""Logarithms in ``binary_cross_entropy`` are not below, as in torch."""


def _same_shape(operation: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"{operation}(): 'target' must be {tuple(input.shape)} like 'input', got {tuple(target.shape)}"
        )


def _scaled(losses: Tensor, weight: Tensor | None, derivative: Derivative) -> Tensor:
    return losses if weight is None else mul(losses, weight.float(), derivative=derivative)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.binary_cross_entropy``: ``-(mul(y, log(x)) + mul(1 - y, log(1 - x)))``.

    Logarithms are not below -100, and have the gradient zero where they would be.

    Args:
        input: probabilities, 0 to 1.
        target: of the same shape.
        weight: broadcasts to it; multiplies the losses.

    Raises:
        ValueError: the shapes differ.
        RuntimeError: ``input`` is not between 0 and 1; not seen while a graph is captured or traced.
    """
    check_options("binary_cross_entropy", reduction, size_average, reduce)
    dtype, (x, y) = all_widened("binary_cross_entropy", input=input, target=target)
    all_widened("binary_cross_entropy", input=input, weight=weight)
    _same_shape("binary_cross_entropy", input, target)
    if readable(x) and not bool(((x >= 0) & (x <= 1) | x.isnan()).all()):
        raise RuntimeError("binary_cross_entropy(): all entries of 'input' must be between 0 and 1")
    own = mul(_bounded_log(x, derivative), y, derivative=derivative)
    other = mul(_bounded_log(1 - x, derivative), 1 - y, derivative=derivative)
    return reduced(_scaled(-(own + other), weight, derivative), reduction, derivative, dtype)


def _bounded_log(x: Tensor, derivative: Derivative) -> Tensor:
    """max(log(x), -100); zero is kept away from ``log``, whose slope there is infinite."""
    zero = x == 0
    return log(x.masked_fill(zero, 1.0), derivative=derivative).masked_fill(zero, _LOWEST_LOG)


def _softplus(x: Tensor, derivative: Derivative) -> Tensor:
    """log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which does not overflow.

    Both selections take x itself at zero, so that the derivative there is a half.
    """
    distance = torch.where(x < 0, -x, x)
    return x.clamp(min=0) + log(1 + exp(-distance, derivative=derivative), derivative=derivative)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.binary_cross_entropy_with_logits``: ``mul(1 - y, x) + mul(l, s)``.

    s = max(-x, 0) + ``log(1 + exp(-|x|))``; l = ``mul(pos_weight - 1, y) + 1``, or 1 without ``pos_weight``.

    Args:
        input, target: of one shape.
        weight: broadcasts to it; multiplies the losses.
        pos_weight: broadcasts to it; weight of the positive terms.

    Raises:
        ValueError: the shapes of ``input`` and ``target`` differ.
    """
    operation = "binary_cross_entropy_with_logits"
    check_options(operation, reduction, size_average, reduce)
    dtype, (x, y) = all_widened(operation, input=input, target=target)
    all_widened(operation, input=input, weight=weight, pos_weight=pos_weight)
    _same_shape(operation, input, target)
    tail = _softplus(-x, derivative)
    if pos_weight is not None:
        tail = mul(tail, mul(pos_weight.float() - 1, y, derivative=derivative) + 1, derivative=derivative)
    losses = mul(1 - y, x, derivative=derivative) + tail
    return reduced(_scaled(losses, weight, derivative), reduction, derivative, dtype)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    log_target: bool = False,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.kl_div``: ``mul(t, log(t) - input)``, the logarithm of t = 0 taken as 0.

    With ``log_target``: ``mul(exp(t), t - input)``. ``reduction`` "batchmean" divides the sum by the first size.
    """
    check_options("kl_div", reduction, size_average, reduce, "batchmean")
    dtype, (x, t) = all_widened("kl_div", input=input, target=target)
    x, t = paired("kl_div", x, t)
    if log_target:
        losses = mul(exp(t, derivative=derivative), t - x, derivative=derivative)
    else:
        zero = t == 0
        logs = log(t.masked_fill(zero, 1.0), derivative=derivative)
        losses = mul(t, logs - x, derivative=derivative)
    if reduction == "batchmean":
        total = sum(losses)
        return round_to(div(total, float(x.shape[0]), derivative=derivative) if x.dim() else total, dtype)
    return reduced(losses, reduction, derivative, dtype)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.soft_margin_loss``: log(1 + exp(u)), u = ``-mul(target, input)``, in a form that does not
    overflow: max(u, 0) + ``log(1 + exp(-|u|))``.
    """
    check_options("soft_margin_loss", reduction, size_average, reduce)
    dtype, (x, y) = all_widened("soft_margin_loss", input=input, target=target)
    losses = _softplus(-mul(y, x, derivative=derivative), derivative)
    return reduced(losses, reduction, derivative, dtype)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.hinge_embedding_loss``: x where y = 1, max(0, margin - x) where y = -1."""
    is_exact(derivative)
    check_options("hinge_embedding_loss", reduction, size_average, reduce)
    dtype, (x, y) = all_widened("hinge_embedding_loss", input=input, target=target)
    x, y = paired("hinge_embedding_loss", x, y)
    hinge = (margin - x).clamp(min=0).masked_fill(y == 1, 0.0)
    return reduced(hinge + x.masked_fill(y == -1, 0.0), reduction, derivative, dtype)
