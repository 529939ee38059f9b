"""Compositions of several operations: half precision is widened at the start and rounded once, at the end (spec 5)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.ops.checks import check_float, check_floats, check_pair

Operand = Tensor | float


def widened(operation: str, x: Tensor, argument: str = "input") -> Tensor:
    """``x`` as float32.

    Raises:
        TypeError: not a strided float32, float16 or bfloat16 tensor.
    """
    _check_tensor(operation, argument, x)
    check_float(operation, argument, x)
    return x.float()


def _check_tensor(operation: str, argument: str, x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{operation}(): argument '{argument}' must be a tensor, got {type(x).__name__}")
    if x.layout is not torch.strided:
        raise TypeError(f"{operation}(): argument '{argument}' must be a strided tensor, got layout {x.layout}")


def all_widened(operation: str, **operands: Tensor | None) -> tuple[torch.dtype, list[Tensor]]:
    """The common dtype of the operands (None is left out), and the operands as float32.

    Raises:
        TypeError: an operand is no strided tensor, not a supported dtype, or two dtypes differ.
        RuntimeError: two are on different devices.
    """
    present = {argument: x for argument, x in operands.items() if x is not None}
    for argument, x in present.items():
        _check_tensor(operation, argument, x)
    return check_floats(operation, **present), [x.float() for x in present.values()]


def computed_wide(name: str, function: Callable[..., Tensor], **operands: Tensor | None) -> Tensor:
    """``function`` of the operands (None is left out) as float32, rounded to the dtype that they share.

    Raises:
        TypeError, RuntimeError: as ``all_widened``.
    """
    dtype, wide = all_widened(name, **operands)
    return rounded(function(*wide), dtype)


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
    for x in tensors:
        if x.layout is not torch.strided:
            raise TypeError(f"{operation}(): operands must be strided tensors, got layout {x.layout}")
    dtype = check_float(operation, "input", tensors[0])
    for x in tensors[1:]:
        dtype = check_pair(operation, tensors[0], x)
    return dtype


def as_float32(x: Operand) -> Operand:
    return x.float() if isinstance(x, Tensor) else x
