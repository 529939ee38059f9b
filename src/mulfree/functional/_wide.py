"""Functions of several steps in half precision: widened exactly, computed as float32, rounded once (spec 5)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mulfree.ops.checks import check_floats


def computed_wide(name: str, function: Callable[..., Tensor], *operands: Tensor) -> Tensor:
    """``function`` of the operands as float32, rounded to the dtype that they share.

    Raises:
        TypeError: they share none, or it is not supported.
    """
    dtype = check_floats(name, **{f"operand {i}": x for i, x in enumerate(operands)})
    if dtype is torch.float32:
        return function(*operands)
    return function(*(x.float() for x in operands)).to(dtype)
