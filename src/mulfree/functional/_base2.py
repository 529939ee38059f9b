"""Softmax in base 2, which section 5 of the paper proposes: powers of two of the scores, not scaled by log2(e).

The derivative is that of the steps, so there is no scaling by ln(2) or log2(e) but the one within the approximate
derivatives of exp2 and log2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.functional._composing import expanded
from mulfree.functional._elementwise import div, exp2, log2, mul
from mulfree.functional._options import Derivative, whole_dim
from mulfree.functional._sums import sum
from mulfree.functional._widening import all_widened

__all__ = ["log_softmax2", "softmax2"]


def softmax2(
    input: Tensor, dim: int, dtype: torch.dtype | None = None, *, derivative: Derivative = "approximate"
) -> Tensor:
    """``div(e, sum(e))`` with ``e = exp2(x - n)``, n the floor of the maximum: the softmax of ln(2) x.

    A row of -inf gives NaN. ``dtype`` converts the input first.
    """
    rounded, _, _, powers, whole = _powers(input, dim, dtype, derivative)
    return round_to(div(powers, whole, derivative=derivative), rounded).reshape(input.shape)


def log_softmax2(
    input: Tensor, dim: int, dtype: torch.dtype | None = None, *, derivative: Derivative = "approximate"
) -> Tensor:
    """The logarithm to base 2 of ``softmax2``: ``x - (n + log2(sum(e)))`` with e and n of ``softmax2``.

    A row of -inf gives NaN. ``dtype`` converts the input first.
    """
    rounded, x, shift, _, whole = _powers(input, dim, dtype, derivative)
    level = shift + log2(whole, derivative=derivative)
    return round_to(x - expanded(level, x.shape), rounded).reshape(input.shape)


def _powers(
    input: Tensor, dim: int, dtype: torch.dtype | None, derivative: Derivative
) -> tuple[torch.dtype, Tensor, Tensor, Tensor, Tensor]:
    """The result's dtype, x, n, e and sum(e); x in float32 with at least one dimension."""
    rounded, (x,) = all_widened("softmax2", input=input if dtype is None else input.to(dtype))
    x = x.reshape(1) if x.dim() == 0 else x
    along = whole_dim(dim, input.dim())
    # The product with 1 flushes a denormal maximum, of which the floor would otherwise be -1.
    shift = torch.zeros(()) if x.shape[along] == 0 else mul(x.detach().amax(along, keepdim=True), 1.0).floor()
    powers = exp2(x - shift, derivative=derivative)
    return rounded, x, shift, powers, sum(powers, along, keepdim=True)
