"""What compositions of several steps share: selections that are free in both directions, roots.

torch's ``abs``, ``maximum``, ``amax`` and norms multiply in their backward passes; the forms here only select.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.functional._elementwise import div, exp2, log2, mul, sqrt
from mulfree.functional._options import Derivative


def expanded(x: Tensor, shape: torch.Size) -> Tensor:
    """``x`` broadcast to ``shape``: a product with 1, so that the gradient is summed in the law's order."""
    if x.shape == shape:
        return x
    return mul(x, torch.ones((), device=x.device, dtype=x.dtype).expand(shape))


def absolute(x: Tensor) -> Tensor:
    """``torch.abs``, whose derivative at zero is zero."""
    return torch.where(x < 0, -x, x).masked_fill(x == 0, 0.0)


def root(x: Tensor, degree: float, derivative: Derivative) -> Tensor:
    """The PA root: ``sqrt`` for two, x itself for one, else ``exp2(div(log2(x), degree))``."""
    if degree == 1:
        return x
    if degree == 2:
        return sqrt(x, derivative=derivative)
    return exp2(div(log2(x, derivative=derivative), degree, derivative=derivative), derivative=derivative)


def root_or_zero(x: Tensor, degree: float, derivative: Derivative) -> Tensor:
    """``root`` with gradient zero at zero, where a root has none."""
    zero = x == 0
    return root(x.masked_fill(zero, 1.0), degree, derivative).masked_fill(zero, 0.0)
