"""Operands as torch's operators take them: numbers, whole-number tensors, mixed dtypes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def floats(x: Tensor) -> Tensor:
    """A tensor of whole numbers or truth values as torch's default floating-point dtype; others as they are."""
    return x if x.is_floating_point() or x.is_complex() else x.to(torch.get_default_dtype())


def promoted(*operands: Any) -> list[Any]:
    """The tensors among the operands in the dtype that torch would compute in; numbers as they are.

    A floating-point tensor without dimensions does not widen others, as in torch. Whole numbers become the
    default dtype.
    """
    dtype: torch.dtype | None = None
    for i, a in enumerate(operands):
        for b in operands[i + 1 :] or operands[:1]:
            if isinstance(a, Tensor) or isinstance(b, Tensor):
                found = torch.result_type(a, b)
                dtype = found if dtype is None else torch.promote_types(dtype, found)
    if dtype is None:
        return list(operands)
    if not (dtype.is_floating_point or dtype.is_complex):
        dtype = torch.get_default_dtype()
    return [x.to(dtype) if isinstance(x, Tensor) else x for x in operands]


def in_whole_numbers(*operands: Any) -> bool:
    """True if torch would compute on these operands in integers."""
    kinds = [x.dtype for x in operands if isinstance(x, Tensor)]
    if any(kind.is_floating_point or kind.is_complex for kind in kinds):
        return False
    return not any(isinstance(x, float | complex) for x in operands)
