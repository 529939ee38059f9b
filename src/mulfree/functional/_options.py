"""The options that the functions share, checked at the border."""

from __future__ import annotations

from typing import Literal, TypedDict

from mulfree.ops import constants
from mulfree.ops.precision import packed

Derivative = Literal["approximate", "exact"]
Derivatives = Derivative | tuple[Derivative, Derivative]
"""One choice, or one per operand."""


MantissaBits = int | tuple[int, int]
"""One number for both passes, or those of the forward and of the backward pass."""


class MulOptions(TypedDict, total=False):
    """Keyword arguments of ``mul``."""

    derivative: Derivatives
    compensation: float | None


class ProductOptions(TypedDict, total=False):
    """Keyword arguments of ``matmul``."""

    derivative: Derivatives
    mantissa_bits: MantissaBits
    compensation: float | None


def is_exact(derivative: Derivative) -> bool:
    """Raises ValueError for anything but "approximate" and "exact"."""
    if derivative == "approximate":
        return False
    if derivative == "exact":
        return True
    raise ValueError(f"derivative must be 'approximate' or 'exact', got {derivative!r}")


def are_exact(derivative: Derivatives) -> tuple[bool, bool]:
    """``is_exact`` of each of two operands."""
    if derivative == "approximate":
        return False, False
    if isinstance(derivative, tuple):
        if len(derivative) != 2:
            raise ValueError(f"derivative must be one choice or a pair, got {derivative!r}")
        return is_exact(derivative[0]), is_exact(derivative[1])
    exact = is_exact(derivative)
    return exact, exact


def precision(mantissa_bits: MantissaBits) -> int:
    """The number that the operations take for it.

    Raises:
        TypeError: no whole number, or a pair of other things.
        ValueError: not 1 to 23, or a tuple that is no pair.
    """
    if type(mantissa_bits) is int and 1 <= mantissa_bits <= 23:
        return mantissa_bits
    bits = mantissa_bits if isinstance(mantissa_bits, tuple) else (mantissa_bits, mantissa_bits)
    expected = "mantissa_bits must be 1 to 23, or a pair of such numbers"
    if any(isinstance(b, bool) or not hasattr(b, "__index__") for b in bits):
        raise TypeError(f"{expected}, got {mantissa_bits!r}")
    if len(bits) != 2 or not all(1 <= b <= 23 for b in bits):
        raise ValueError(f"{expected}, got {mantissa_bits}")
    return packed(*(int(b) for b in bits))


def offset(compensation: float | None) -> int:
    """The integer that the compensation adds to a product; 0 without.

    Raises:
        TypeError: the compensation is no number.
        ValueError: the compensation is not positive, finite and normal.
    """
    if compensation is None:
        return 0
    if isinstance(compensation, bool) or not hasattr(compensation, "__float__"):
        raise TypeError(f"compensation must be a positive number or None, got {compensation!r}")
    return constants.offset(compensation)


def whole_dim(dim: int, ndim: int) -> int:
    """``dim`` counted from the front; a tensor without dimensions counts as having one.

    Raises:
        IndexError: out of range.
    """
    size = max(ndim, 1)
    if not -size <= dim < size:
        raise IndexError(f"dim must be {-size} to {size - 1} for a tensor of {ndim} dimensions, got {dim}")
    return dim + size if dim < 0 else dim


def whole_dims(dim: int | tuple[int, ...] | list[int] | None, ndim: int) -> tuple[int, ...]:
    """``dim`` as ascending dimensions counted from the front; None and an empty tuple mean all.

    Raises:
        IndexError: out of range.
        RuntimeError: a dimension appears twice.
    """
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(ndim))
    dims = [dim] if isinstance(dim, int) else dim
    found = sorted(whole_dim(d, ndim) for d in dims)
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim {tuple(dims)} names a dimension twice")
    return tuple(found) if ndim else ()
