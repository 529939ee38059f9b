"""Losses of numbers: squared, absolute, Huber's, and likelihoods of normal and Poisson distributions.

All composed of the public operations on float32 (half precision is rounded once, at the end); the derivative is the
chain of the steps' derivatives, exact by default as for every loss (Table 3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.functional._composing import absolute, expanded
from mulfree.functional._elementwise import div, exp, log, mul
from mulfree.functional._options import Derivative, is_exact
from mulfree.functional._reduction import Reduction, check_options, paired, reduced, weighted
from mulfree.functional._widening import all_widened
from mulfree.ops.constants import product, readable

_HALF_LOG_TWO_PI = 0.9189385332046727
_TWO_PI = 6.283185307179586


def _difference(
    operation: str, input: Tensor, target: Tensor, weight: Tensor | None = None
) -> tuple[torch.dtype, Tensor, Tensor | None]:
    """The common dtype, input - target and the weight in float32."""
    dtype, operands = all_widened(operation, input=input, target=target, weight=weight)
    if weight is not None and weight.shape != input.shape:
        raise ValueError(
            f"{operation}(): 'weight' must be {tuple(input.shape)} like 'input', got {tuple(weight.shape)}"
        )
    a, b = paired(operation, *operands[:2])
    return dtype, a - b, operands[2] if weight is not None else None


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.mse_loss``: ``mul(d, d)`` with d = input - target.

    With ``weight`` of the shape of ``input``: ``mul(mul(d, d), weight)``, the mean over the sum of the weights.
    """
    check_options("mse_loss", reduction, size_average, reduce)
    dtype, d, weight = _difference("mse_loss", input, target, weight)
    return weighted(mul(d, d, derivative=derivative), weight, reduction, derivative, dtype)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.l1_loss``: |input - target|; ``weight`` as in ``mse_loss``. Derivative 0 at 0."""
    is_exact(derivative)
    check_options("l1_loss", reduction, size_average, reduce)
    dtype, d, weight = _difference("l1_loss", input, target, weight)
    return weighted(absolute(d), weight, reduction, derivative, dtype)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: Reduction = "mean",
    beta: float = 1.0,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.smooth_l1_loss``: ``div(mul(mul(d, d), 0.5), beta)`` if |d| < beta, else |d| - beta / 2.

    Raises:
        RuntimeError: ``beta`` is negative.
    """
    check_options("smooth_l1_loss", reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss(): beta must not be negative, got {beta}")
    dtype, d, _ = _difference("smooth_l1_loss", input, target)
    distance = absolute(d)
    if beta == 0:
        is_exact(derivative)
        return reduced(distance, reduction, derivative, dtype)
    near = distance < beta
    squares = div(_half_square(d, near, derivative), beta, derivative=derivative)
    return reduced(torch.where(near, squares, distance - product(beta, 0.5)), reduction, derivative, dtype)


def _half_square(d: Tensor, near: Tensor, derivative: Derivative) -> Tensor:
    """d d / 2 where ``near``, 0 elsewhere, so that no infinity meets the zero gradient of what is not selected."""
    d = d.masked_fill(~near, 0.0)
    return mul(mul(d, d, derivative=derivative), 0.5, derivative=derivative)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: Reduction = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.huber_loss``: ``mul(mul(d, d), 0.5)`` if |d| < delta, else ``mul(delta, |d| - delta / 2)``.

    ``weight`` multiplies the losses; their mean is the plain one, as in torch.

    Raises:
        RuntimeError: ``delta`` is not positive.
    """
    check_options("huber_loss", reduction, None, None)
    if not delta > 0:
        raise RuntimeError(f"huber_loss(): delta must be positive, got {delta}")
    dtype, d, weight = _difference("huber_loss", input, target, weight)
    distance = absolute(d)
    near = distance < delta
    far = mul(distance.masked_fill(near, 0.0) - product(delta, 0.5), delta, derivative=derivative)
    losses = torch.where(near, _half_square(d, near, derivative), far)
    if weight is not None:
        losses = mul(losses, weight, derivative=derivative)
    return reduced(losses, reduction, derivative, dtype)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.gaussian_nll_loss``: ``mul(0.5, log(v) + div(mul(d, d), v))``, v = max(var, eps).

    The maximum is not seen by the gradient. ``full`` adds log(2 pi) / 2.

    Args:
        var: a number, or of the shape of ``input``, or with 1 for or without its last dimension, or with 1 for
            one dimension.

    Raises:
        ValueError: an entry of ``var`` is negative (not seen while a graph is captured or traced), or its shape is
            none of these.
    """
    check_options("gaussian_nll_loss", reduction, None, None)
    if not isinstance(var, Tensor):
        var = torch.full_like(input, var)
    if readable(var) and bool((var < 0).any()):
        raise ValueError("gaussian_nll_loss(): 'var' has negative entries")
    dtype, (input, target, var) = all_widened("gaussian_nll_loss", input=input, target=target, var=var)
    d = torch.sub(*paired("gaussian_nll_loss", input, target))
    variance = expanded(_fitting_variance(var, input), d.shape).clone()
    with torch.no_grad():
        variance.clamp_(min=eps)
    squares = div(mul(d, d, derivative=derivative), variance, derivative=derivative)
    losses = mul(log(variance, derivative=derivative) + squares, 0.5, derivative=derivative)
    return reduced(losses + _HALF_LOG_TWO_PI if full else losses, reduction, derivative, dtype)


def _fitting_variance(var: Tensor, input: Tensor) -> Tensor:
    if var.shape == input.shape:
        return var
    if var.shape == input.shape[:-1]:
        return var.unsqueeze(-1)
    differing = [b for a, b in zip(input.shape, var.shape, strict=False) if a != b]
    if var.dim() == input.dim() and differing == [1]:
        return var
    raise ValueError(
        f"gaussian_nll_loss(): 'var' must fit 'input' {tuple(input.shape)} in all dimensions but one of size 1, "
        f"got {tuple(var.shape)}"
    )


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: None = None,
    eps: float = 1e-8,
    reduce: None = None,
    reduction: Reduction = "mean",
    *,
    derivative: Derivative = "exact",
) -> Tensor:
    """``torch.nn.functional.poisson_nll_loss``: ``exp(x) - mul(y, x)``, or ``x - mul(y, log(x + eps))``.

    ``full`` adds Stirling's ``mul(y, log(y)) - y + mul(0.5, log(mul(2 pi, y)))`` where y > 1.
    """
    check_options("poisson_nll_loss", reduction, size_average, reduce)
    dtype, (x, y) = all_widened("poisson_nll_loss", input=input, target=target)
    x, y = paired("poisson_nll_loss", x, y)
    if log_input:
        losses = exp(x, derivative=derivative) - mul(y, x, derivative=derivative)
    else:
        losses = x - mul(y, log(x + eps, derivative=derivative), derivative=derivative)
    if full:
        large = y > 1
        n = y.masked_fill(~large, 1.0)
        entropy = mul(n, log(n, derivative=derivative), derivative=derivative) - n
        root = log(mul(n, _TWO_PI, derivative=derivative), derivative=derivative)
        stirling = entropy + mul(root, 0.5, derivative=derivative)
        losses = losses + stirling.masked_fill(~large, 0.0)
    return reduced(losses, reduction, derivative, dtype)
