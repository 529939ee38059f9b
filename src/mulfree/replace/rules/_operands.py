"""Operands as torch's operators take them: numbers, whole-number tensors, mixed dtypes."""

from __future__ import annotations

import functools
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
    tensors = [x for x in operands if isinstance(x, Tensor)]
    kinds = {x.dtype for x in tensors}
    if len(kinds) == 1 and (len(tensors) == len(operands) or tensors[0].is_floating_point()):
        dtype = kinds.pop()
    else:
        dtype = functools.reduce(torch.promote_types, map(torch.result_type, operands, operands[1:]))
    if not (dtype.is_floating_point or dtype.is_complex):
        dtype = torch.get_default_dtype()
    return [x.to(dtype) if isinstance(x, Tensor) and x.dtype is not dtype else x for x in operands]
