"""Checks at the border of the kernels, and the exact widening of half-precision operands."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.ops.precision import is_precision

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_EXPECTED = "float32, float16 or bfloat16"


def are_plain(*operands: Tensor | None) -> bool:
    """True if all operands are float32 on the CPU: nothing to check or widen. Cheap."""
    for x in operands:  # noqa: SIM110 (faster than a generator)
        if x is not None and (x.dtype is not torch.float32 or not x.is_cpu):
            return False
    return True


def check_float(operation: str, argument: str, x: Tensor) -> torch.dtype:
    """The dtype of ``x``.

    Raises:
        TypeError: it is none of ``FLOATS``.
    """
    dtype = x.dtype
    if dtype not in FLOATS:
        raise TypeError(f"{operation}(): argument '{argument}' must be {_EXPECTED}, got {_name(dtype)}")
    return dtype


def check_floats(operation: str, **operands: Tensor | None) -> torch.dtype:
    """The dtype that the operands (None is left out) share.

    Raises:
        TypeError: an operand is none of ``FLOATS``, or two differ.
        RuntimeError: two are on different devices.
    """
    first: tuple[str, Tensor] | None = None
    for argument, x in operands.items():
        if x is None:
            continue
        check_float(operation, argument, x)
        if first is None:
            first = argument, x
        elif x.dtype is not first[1].dtype:
            raise TypeError(
                f"{operation}(): argument '{argument}' must be {_name(first[1].dtype)} like '{first[0]}', "
                f"got {_name(x.dtype)}; convert one of them"
            )
        elif x.device != first[1].device:
            raise RuntimeError(
                f"{operation}(): argument '{argument}' must be on {first[1].device} like '{first[0]}', got {x.device}"
            )
    assert first is not None
    return first[1].dtype


def check_pair(operation: str, a: Tensor, b: Tensor) -> torch.dtype:
    """The dtype of the result of an elementwise operation on ``a`` and ``b``.

    A float32 operand without dimensions goes with a half-precision one, as in torch.

    Raises:
        TypeError, RuntimeError: as ``check_floats``.
    """
    if a.dtype is not b.dtype:
        for constant, other in ((a, b), (b, a)):
            if constant.dtype is torch.float32 and constant.dim() == 0 and other.dtype in FLOATS:
                return other.dtype
    return check_floats(operation, input=a, other=b)


def check_mantissa_bits(operation: str, mantissa_bits: int) -> None:
    """Raises ValueError unless both passes have 1 to 23 bits."""
    if not is_precision(mantissa_bits):
        raise ValueError(f"{operation}(): mantissa_bits must be 1 to 23, got {mantissa_bits}")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def broadcast_shape(a: torch.Size, b: torch.Size) -> torch.Size:
    """The common shape; raises RuntimeError naming both if there is none."""
    return torch.Size(torch.broadcast_shapes(a, b))
