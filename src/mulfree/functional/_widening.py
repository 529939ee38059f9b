"""Compositions of several operations: half precision is widened at the start and rounded once, at the end."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.ops.checks import check_float, check_pair

Operand = Tensor | float


def widened(operation: str, x: Tensor, argument: str = "input") -> Tensor:
    """``x`` as float32.

    Raises:
        TypeError: not a float32, float16 or bfloat16 tensor.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{operation}(): argument '{argument}' must be a tensor, got {type(x)}")
    check_float(operation, argument, x)
    return x.float()


def rounded(x: Tensor, like: Tensor | torch.dtype) -> Tensor:
    """``x`` in the dtype of ``like``."""
    return round_to(x, like if isinstance(like, torch.dtype) else like.dtype)


def common_dtype(operation: str, *operands: Operand) -> torch.dtype:
    """The dtype that the result of an operation on these tensors and numbers has.

    Raises:
        TypeError: none is a tensor, or two dtypes do not go together.
        RuntimeError: two tensors are on different devices.
    """
    tensors = [x for x in operands if isinstance(x, Tensor)]
    if not tensors:
        raise TypeError(f"{operation}(): an operand must be a tensor, got {', '.join(str(type(x)) for x in operands)}")
    dtype = check_float(operation, "input", tensors[0])
    for x in tensors[1:]:
        dtype = check_pair(operation, tensors[0], x)
    return dtype


def as_float32(x: Operand) -> Operand:
    return x.float() if isinstance(x, Tensor) else x
