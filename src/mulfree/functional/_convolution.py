"""Convolutions and transposed convolutions over one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mulfree.functional._options import Derivatives, MantissaBits, are_exact, offset, precision
from mulfree.ops import convolution as ops

Size = int | Sequence[int]
"""One number for all spatial dimensions, or one for each."""


def _per_dimension(name: str, argument: str, value: Size, dims: int, least: int) -> tuple[int, ...]:
    values: tuple[int, ...] = (value,) if isinstance(value, int) else tuple(int(entry) for entry in value)
    if len(values) == 1:
        values *= dims
    if len(values) != dims:
        raise RuntimeError(f"{name}(): '{argument}' must be one number or {dims}, got {value}")
    if min(values) < least:
        raise RuntimeError(f"{name}(): '{argument}' must be at least {least}, got {value}")
    return values


def _check_dims(name: str, dims: int, input: Tensor, weight: Tensor) -> None:
    if input.dim() not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}(): 'input' must have {dims + 1} (unbatched) or {dims + 2} dimensions, got {tuple(input.shape)}"
        )
    if weight.dim() != dims + 2:
        raise RuntimeError(f"{name}(): 'weight' must have {dims + 2} dimensions, got {tuple(weight.shape)}")


def _padding(
    name: str, padding: str | Size, stride: tuple[int, ...], dilation: tuple[int, ...], kernel: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before the first and after the last element of each dimension."""
    dims = len(stride)
    if not isinstance(padding, str):
        both = _per_dimension(name, "padding", padding, dims, 0)
        return both, both
    if padding == "valid":
        return (0,) * dims, (0,) * dims
    if padding != "same":
        raise RuntimeError(f"{name}(): 'padding' must be 'valid', 'same' or numbers, got {padding!r}")
    if any(step != 1 for step in stride):
        raise RuntimeError(f"{name}(): padding='same' needs a stride of 1, got {stride}")
    totals = [step * (taps - 1) for step, taps in zip(dilation, kernel, strict=True)]
    before = tuple(total // 2 for total in totals)
    return before, tuple(total - first for total, first in zip(totals, before, strict=True))


def _conv(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: str | Size,
    dilation: Size,
    groups: int,
    derivative: Derivatives,
    mantissa_bits: MantissaBits,
    compensation: float | None,
) -> Tensor:
    name = f"conv{dims}d"
    _check_dims(name, dims, input, weight)
    steps = _per_dimension(name, "stride", stride, dims, 1)
    spread = _per_dimension(name, "dilation", dilation, dims, 1)
    before, after = _padding(name, padding, steps, spread, weight.shape[2:])
    x = input if input.dim() == dims + 2 else input.unsqueeze(0)
    size = []
    for dim in range(dims):
        padded: int = x.shape[2 + dim] + before[dim] + after[dim]
        reach = spread[dim] * (weight.shape[2 + dim] - 1) + 1
        if padded < reach or weight.shape[2 + dim] < 1:
            raise RuntimeError(
                f"{name}(): the kernel must not be empty nor reach further than the padded input; in spatial "
                f"dimension {dim} it reaches over {reach} of {padded} elements"
            )
        size.append((padded - reach) // steps[dim] + 1)
    result: Tensor = ops.convolution(
        x,
        weight,
        bias,
        steps,
        before,
        spread,
        groups,
        tuple(size),
        precision(mantissa_bits),
        offset(compensation),
        *are_exact(derivative),
    )
    return result if input.dim() == dims + 2 else result.squeeze(0)


def _conv_transpose(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
    derivative: Derivatives,
    mantissa_bits: MantissaBits,
    compensation: float | None,
) -> Tensor:
    name = f"conv_transpose{dims}d"
    _check_dims(name, dims, input, weight)
    steps = _per_dimension(name, "stride", stride, dims, 1)
    spread = _per_dimension(name, "dilation", dilation, dims, 1)
    around = _per_dimension(name, "padding", padding, dims, 0)
    extra = _per_dimension(name, "output_padding", output_padding, dims, 0)
    x = input if input.dim() == dims + 2 else input.unsqueeze(0)
    size = []
    for dim in range(dims):
        if extra[dim] >= max(steps[dim], spread[dim]):
            raise RuntimeError(
                f"{name}(): 'output_padding' must be smaller than stride or dilation, got output_padding "
                f"{extra}, stride {steps}, dilation {spread}"
            )
        reach = spread[dim] * (weight.shape[2 + dim] - 1) + 1
        size.append((x.shape[2 + dim] - 1) * steps[dim] - 2 * around[dim] + reach + extra[dim])
        if size[dim] < 1 or weight.shape[2 + dim] < 1:
            raise RuntimeError(
                f"{name}(): the result must not be empty, got size {size[dim]} in spatial dimension {dim} for input "
                f"{tuple(input.shape)} and weight {tuple(weight.shape)}"
            )
    result: Tensor = ops.convolution_transposed(
        x,
        weight,
        bias,
        steps,
        around,
        spread,
        groups,
        tuple(size),
        precision(mantissa_bits),
        offset(compensation),
        *are_exact(derivative),
    )
    return result if input.dim() == dims + 2 else result.squeeze(0)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.conv1d`` with PAM products.

    Each result is one dot product, in the order of spec 6, over (in_channels / groups, *kernel) in the weight's
    memory order; positions in the padding are skipped. The bias is added last, once.

    Args:
        input: ``(N, C, L)`` or unbatched ``(C, L)``.
        weight: ``(out_channels, C / groups, *kernel)``.
        bias: ``(out_channels,)``.
        stride, padding, dilation, groups: as in torch; padding may be "valid" or "same".
        derivative: for input and weight if a pair.
        mantissa_bits: both operands, and gradients in the backward pass, are first rounded to so many bits; a pair
            for those of the forward and of the backward pass.
        compensation: factor that every product gets in addition (section 2.7).

    Raises:
        RuntimeError: sizes that do not fit.
        TypeError: dtypes other than float32, float16 and bfloat16, or two of them.
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups, derivative, mantissa_bits, compensation)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.conv2d`` with PAM products: ``conv1d`` with 2 spatial dimensions."""
    return _conv(2, input, weight, bias, stride, padding, dilation, groups, derivative, mantissa_bits, compensation)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.conv3d`` with PAM products: ``conv1d`` with 3 spatial dimensions."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups, derivative, mantissa_bits, compensation)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.conv_transpose1d`` with PAM products.

    It is the gradient of ``conv1d`` by its input: each result is one dot product, in the order of spec 6, over
    (in_channels / groups, *kernel taps that meet a multiple of the stride). The bias is added last, once.

    Args:
        input: ``(N, C, L)`` or unbatched ``(C, L)``.
        weight: ``(C, out_channels / groups, *kernel)``.
        bias: ``(out_channels,)``.
        stride, padding, output_padding, groups, dilation: as in torch.
        derivative, mantissa_bits, compensation: as in ``conv1d``.

    Raises:
        RuntimeError, TypeError: as ``conv1d``.
    """
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation,
        derivative, mantissa_bits, compensation,
    )  # fmt: skip


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.conv_transpose2d`` with PAM products: ``conv_transpose1d`` with 2 spatial dimensions."""
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation,
        derivative, mantissa_bits, compensation,
    )  # fmt: skip


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    derivative: Derivatives = "approximate",
    mantissa_bits: MantissaBits = 23,
    compensation: float | None = None,
) -> Tensor:
    """``torch.nn.functional.conv_transpose3d`` with PAM products: ``conv_transpose1d`` with 3 spatial dimensions."""
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation,
        derivative, mantissa_bits, compensation,
    )  # fmt: skip
