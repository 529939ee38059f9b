"""Matrix products."""

from __future__ import annotations

from torch import Tensor

from mulfree.functional._options import Derivatives, MantissaBits, are_exact, offset, precision
from mulfree.ops import matmul as products


def matmul(
    input: Tensor,
    other: Tensor,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.matmul`` with PAM products, added as float32 in the order of spec 6.

    Args:
        input: ``(*batch, m, k)`` or ``(k,)``.
        other: ``(*batch, k, n)`` or ``(k,)``; batch dimensions broadcast.
        derivative: for each operand if a pair.
        mantissa_bits: both operands, and gradients in the backward pass, are first rounded to so many bits; a pair
            for those of the forward and of the backward pass.
        compensation: factor that every product gets in addition (section 2.7).

    Returns:
        ``(*batch, m, n)`` without the dimensions that a one-dimensional operand lacks; half precision is
        rounded once, at the end.
    """
    left_dims, right_dims = input.dim(), other.dim()
    if left_dims == 0 or right_dims == 0:
        raise RuntimeError(
            f"matmul(): both arguments must have at least one dimension, got {left_dims} and {right_dims}"
        )
    left = input.unsqueeze(0) if left_dims == 1 else input
    right = other.unsqueeze(1) if right_dims == 1 else other
    result: Tensor = products.matmul(
        left, right, precision(mantissa_bits), offset(compensation), *are_exact(derivative)
    )
    if left_dims == 1:
        result = result.squeeze(-2)
    return result.squeeze(-1) if right_dims == 1 else result


def linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.linear`` with PAM products; the bias is added last, once.

    Args:
        input: ``(*batch, in_features)``.
        weight: ``(out_features, in_features)``.
        bias: ``(out_features,)``.
        derivative, mantissa_bits, compensation: as in ``matmul``.

    Returns:
        ``(*batch, out_features)``.
    """
    exact = are_exact(derivative)
    result: Tensor = products.linear(input, weight, bias, precision(mantissa_bits), offset(compensation), *exact)
    return result
