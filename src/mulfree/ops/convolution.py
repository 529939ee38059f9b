"""Convolutions, transposed convolutions and their weights' gradients, with both derivatives (spec 6).

The three approximate operations are closed under differentiation: the gradient of each by an operand is another
one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mulfree.backends.select import for_tensor
from mulfree.numerics.convolution import Window
from mulfree.ops.checks import are_plain, check_floats, check_mantissa_bits
from mulfree.ops.precision import backward_bits, forward_bits
from mulfree.ops.reductions import sum_dims
from mulfree.ops.registry import Operation, define

_WINDOW = "int[] stride, int[] padding, int[] dilation, int groups, SymInt[] size, int mantissa_bits, int offset"


def _window(stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int) -> Window:
    return Window(tuple(stride), tuple(padding), tuple(dilation), groups)


def _check(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, mantissa_bits: int) -> None:
    if not are_plain(x, weight, bias):
        check_floats(name, input=x, weight=weight, bias=bias)
    check_mantissa_bits(name, mantissa_bits)


def _check_channels(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, transposed: bool) -> int:
    """The number of output channels."""
    expected, out = (
        (weight.shape[0], weight.shape[1] * groups) if transposed else (weight.shape[1] * groups, weight.shape[0])
    )
    if groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(
            f"{name}(): 'groups' must divide the first size of 'weight', {weight.shape[0]}, got {groups}"
        )
    if x.dim() != weight.dim() or x.shape[1] != expected:
        raise RuntimeError(
            f"{name}(): 'input' must have {expected} channels for weight {tuple(weight.shape)} and {groups} groups, "
            f"got {tuple(x.shape)}"
        )
    if bias is not None and bias.shape != (out,):
        raise RuntimeError(f"{name}(): 'bias' must be ({out},), got {tuple(bias.shape)}")
    return out


def _convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], groups: int, size: Sequence[int], mantissa_bits: int, offset: int, exact_x: bool,
    exact_w: bool,
) -> Tensor:  # fmt: skip
    _check("convolution", x, weight, bias, mantissa_bits)
    _check_channels("convolution", x, weight, bias, groups, False)
    window = _window(stride, padding, dilation, groups)
    return for_tensor(x).convolve(x, weight, bias, window, size, None, forward_bits(mantissa_bits), offset)


def _convolution_fake(x: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any) -> Tensor:
    _check("convolution", x, weight, bias, settings[5])
    return x.new_empty((x.shape[0], _check_channels("convolution", x, weight, bias, settings[3], False), *settings[4]))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, *ctx.window, ctx.size, ctx.mantissa_bits, ctx.offset, ctx.exact_x, ctx.exact_w = inputs
    ctx.save_for_backward(x, weight)


def _bias_gradient(ctx: Any, grad: Tensor) -> Tensor | None:
    return sum_dims(grad, (0, *range(2, grad.dim())), False) if ctx.needs_input_grad[2] else None


def _convolution_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    rounding = (backward_bits(ctx.mantissa_bits), ctx.offset)
    by_x = by_weight = None
    if ctx.needs_input_grad[0]:
        if ctx.exact_x:
            by_x = convolution_transposed_slope(grad, weight, x, *ctx.window, *rounding)
        else:
            by_x = convolution_transposed(grad, weight, None, *ctx.window, tuple(x.shape[2:]), *rounding, False, False)
    if ctx.needs_input_grad[1]:
        if ctx.exact_w:
            by_weight = convolution_weight_slope(grad, x, weight, *ctx.window, *rounding, True)
        else:
            by_weight = convolution_weight(grad, x, *ctx.window, tuple(weight.shape[2:]), *rounding)
    return by_x, by_weight, _bias_gradient(ctx, grad), *[None] * 9


def _transposed(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], groups: int, size: Sequence[int], mantissa_bits: int, offset: int, exact_x: bool,
    exact_w: bool,
) -> Tensor:  # fmt: skip
    _check("convolution_transposed", x, weight, bias, mantissa_bits)
    _check_channels("convolution_transposed", x, weight, bias, groups, True)
    window = _window(stride, padding, dilation, groups)
    return for_tensor(x).convolve_transposed(x, weight, bias, window, size, None, forward_bits(mantissa_bits), offset)


def _transposed_fake(x: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any) -> Tensor:
    _check("convolution_transposed", x, weight, bias, settings[5])
    out = _check_channels("convolution_transposed", x, weight, bias, settings[3], True)
    return x.new_empty((x.shape[0], out, *settings[4]))


def _transposed_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    rounding = (backward_bits(ctx.mantissa_bits), ctx.offset)
    by_x = by_weight = None
    if ctx.needs_input_grad[0]:
        if ctx.exact_x:
            by_x = convolution_slope(grad, weight, x, *ctx.window, *rounding)
        else:
            by_x = convolution(grad, weight, None, *ctx.window, tuple(x.shape[2:]), *rounding, False, False)
    if ctx.needs_input_grad[1]:
        if ctx.exact_w:
            by_weight = convolution_weight_slope(x, grad, weight, *ctx.window, *rounding, False)
        else:
            by_weight = convolution_weight(x, grad, *ctx.window, tuple(weight.shape[2:]), *rounding)
    return by_x, by_weight, _bias_gradient(ctx, grad), *[None] * 9


def _weight(
    dense: Tensor, x: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int,
    size: Sequence[int], mantissa_bits: int, offset: int,
) -> Tensor:  # fmt: skip
    _check("convolution_weight", x, dense, None, mantissa_bits)
    window = _window(stride, padding, dilation, groups)
    return for_tensor(x).convolve_weight(dense, x, window, size, None, True, forward_bits(mantissa_bits), offset)


def _weight_fake(dense: Tensor, x: Tensor, *settings: Any) -> Tensor:
    _check("convolution_weight", x, dense, None, settings[5])
    groups: int = settings[3]
    return x.new_empty((dense.shape[1], x.shape[1] // groups, *settings[4]))


def _weight_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    dense, x, *ctx.window, _, ctx.mantissa_bits, ctx.offset = inputs
    ctx.save_for_backward(dense, x)


def _weight_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient has the weight's shape and takes its place."""
    dense, x = ctx.saved_tensors
    rounding = (backward_bits(ctx.mantissa_bits), ctx.offset, False, False)
    by_dense = by_x = None
    if ctx.needs_input_grad[0]:
        by_dense = convolution(x, grad, None, *ctx.window, tuple(dense.shape[2:]), *rounding)
    if ctx.needs_input_grad[1]:
        by_x = convolution_transposed(dense, grad, None, *ctx.window, tuple(x.shape[2:]), *rounding)
    return by_dense, by_x, *[None] * 7


convolution: Operation = define(
    f"convolution(Tensor x, Tensor weight, Tensor? bias, {_WINDOW}, bool exact_x, bool exact_w) -> Tensor",
    _convolution,
    _convolution_fake,
    setup=_setup,
    backward=_convolution_backward,
)
"""``(n, in, ...), (out, in / groups, *kernel), (out,) -> (n, out, *size)``; ``padding`` is that at the low end."""

convolution_transposed: Operation = define(
    f"convolution_transposed(Tensor x, Tensor weight, Tensor? bias, {_WINDOW}, bool exact_x, bool exact_w) -> Tensor",
    _transposed,
    _transposed_fake,
    setup=_setup,
    backward=_transposed_backward,
)
"""``(n, in, ...), (in, out / groups, *kernel), (out,) -> (n, out, *size)``."""

convolution_weight: Operation = define(
    f"convolution_weight(Tensor dense, Tensor x, {_WINDOW}) -> Tensor",
    _weight,
    _weight_fake,
    setup=_weight_setup,
    backward=_weight_backward,
)
"""``(n, out, *positions), (n, in, ...) -> (out, in / groups, *size)``."""


_SLOPE_WINDOW = "int[] stride, int[] padding, int[] dilation, int groups, int mantissa_bits, int offset"


def _slope(
    grad: Tensor, weight: Tensor, point: Tensor, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], groups: int, mantissa_bits: int, offset: int,
) -> Tensor:  # fmt: skip
    _check("convolution_slope", grad, weight, point, mantissa_bits)
    window = _window(stride, padding, dilation, groups)
    return for_tensor(grad).convolve(grad, weight, None, window, point.shape[2:], point, mantissa_bits, offset)


def _transposed_slope(
    grad: Tensor, weight: Tensor, point: Tensor, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], groups: int, mantissa_bits: int, offset: int,
) -> Tensor:  # fmt: skip
    _check("convolution_transposed_slope", grad, weight, point, mantissa_bits)
    window = _window(stride, padding, dilation, groups)
    return for_tensor(grad).convolve_transposed(
        grad, weight, None, window, point.shape[2:], point, mantissa_bits, offset
    )


def _weight_slope(
    dense: Tensor, x: Tensor, point: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    groups: int, mantissa_bits: int, offset: int, dense_is_grad: bool,
) -> Tensor:  # fmt: skip
    _check("convolution_weight_slope", dense, x, point, mantissa_bits)
    window = _window(stride, padding, dilation, groups)
    return for_tensor(x).convolve_weight(dense, x, window, point.shape[2:], point, dense_is_grad, mantissa_bits, offset)


def _slope_fake(first: Tensor, second: Tensor, point: Tensor, *settings: Any) -> Tensor:
    return point.new_empty(point.shape)


convolution_slope: Operation = define(
    f"convolution_slope(Tensor grad, Tensor weight, Tensor point, {_SLOPE_WINDOW}) -> Tensor",
    _slope,
    _slope_fake,
)
"""Exact derivative of a transposed convolution by its input ``point``."""

convolution_transposed_slope: Operation = define(
    f"convolution_transposed_slope(Tensor grad, Tensor weight, Tensor point, {_SLOPE_WINDOW}) -> Tensor",
    _transposed_slope,
    _slope_fake,
)
"""Exact derivative of a convolution by its input ``point``."""

convolution_weight_slope: Operation = define(
    f"convolution_weight_slope(Tensor dense, Tensor x, Tensor point, {_SLOPE_WINDOW}, bool dense_is_grad) -> Tensor",
    _weight_slope,
    _slope_fake,
)
"""Exact derivative of a convolution (``dense`` its gradient) or a transposed one (``x`` its gradient) by its weight
``point``."""
