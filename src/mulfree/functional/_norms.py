"""Normalization over batches, groups, instances and rows. Their forms are in spec 7."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mulfree.functional._elementwise import div, mul, pow, sqrt
from mulfree.functional._options import Derivative, is_exact
from mulfree.functional._sums import mean, sum
from mulfree.functional._widening import rounded, widened
from mulfree.ops import norms
from mulfree.ops.rows import layer_norm


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.rms_norm``: ``mul(div(x, sqrt(mean(mul(x, x)) + eps)), weight)``.

    Args:
        input: ``(*, *normalized_shape)``.
        weight: of shape ``normalized_shape``, or None.
        eps: by default the epsilon of the input's dtype.
    """
    shape = tuple(normalized_shape)
    for argument, operand in (("input", input), ("weight", weight)):
        if operand is not None and (not shape or tuple(operand.shape[-len(shape) :]) != shape):
            raise RuntimeError(
                f"rms_norm(): the last sizes of '{argument}' must be normalized_shape {shape}, "
                f"got {tuple(operand.shape)}"
            )
    x = widened("rms_norm", input)
    dims = tuple(range(-len(shape), 0))
    squares = mean(mul(x, x, derivative=derivative), dims, True, derivative=derivative)
    root = sqrt(squares + (torch.finfo(input.dtype).eps if eps is None else eps), derivative=derivative)
    result = div(x, root, derivative=derivative)
    if weight is not None:
        result = mul(result, widened("rms_norm", weight, "weight"), derivative=derivative)
    return rounded(result, input)


def _per_channel(parameter: Tensor, x: Tensor) -> Tensor:
    """A vector of the channels in the shape that broadcasts with ``x`` ``(batch, channels, *)``."""
    return parameter.float().view(1, -1, *(1 for _ in range(x.dim() - 2)))


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None, derivative: Derivative) -> Tensor:
    if weight is not None:
        x = mul(x, _per_channel(weight, x), derivative=derivative)
    return x if bias is None else x + _per_channel(bias, x)


def _check_channels(operation: str, input: Tensor, **parameters: Tensor | None) -> None:
    if input.dim() < 2:
        raise RuntimeError(f"{operation}(): 'input' must be (batch, channels, *), got {tuple(input.shape)}")
    for argument, parameter in parameters.items():
        if parameter is None:
            continue
        widened(operation, parameter, argument)
        if parameter.shape != input.shape[1:2]:
            raise RuntimeError(
                f"{operation}(): '{argument}' must be ({input.shape[1]},) like the channels of 'input', "
                f"got {tuple(parameter.shape)}"
            )


def _update(running: Tensor | None, new: Tensor, momentum: float) -> None:
    """One step of a running statistic, in place: ``old + mul(new - old, momentum)``."""
    if running is not None:
        old = running.float()
        running.copy_(rounded(old + mul(new - old, momentum), running))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.batch_norm``: layer norm of each channel over batch and positions, or, if not
    ``training``, ``mul(x - running_mean, div(weight, sqrt(running_var + eps))) + bias``.

    In training the running statistics are updated in place by ``old + mul(new - old, momentum)``; the
    new variance is ``div(sum(mul(c, c)), n - 1)``.

    Args:
        input: ``(batch, channels, *)``; a result of four or five dimensions keeps the memory format.
        running_mean, running_var, weight, bias: ``(channels,)``, of the input's dtype or float32.

    Raises:
        ValueError: training with one number in each channel.
        RuntimeError: neither ``training`` nor running statistics.
    """
    parameters = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check_channels("batch_norm", input, **parameters)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("batch_norm(): 'running_mean' and 'running_var' must be given if not training")
        return _by_running_statistics(input, running_mean, running_var, weight, bias, eps, derivative)
    channels = input.shape[1]
    count = math.prod(input.shape) // channels if channels else 0
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    last = input.movedim(1, -1)
    channels_last = input.dim() > 2 and last.is_contiguous() and not input.is_contiguous()
    shape = (count, channels, 1) if channels_last else (input.shape[0], channels, math.prod(input.shape[2:]))
    rows = (last if channels_last else input).reshape(shape)
    normal, stats = norms.batch_norm(rows, weight, bias, eps, is_exact(derivative))
    result: Tensor = normal.view(last.shape).movedim(-1, 1) if channels_last else normal.view(input.shape)
    if count:
        with torch.no_grad():
            _update(running_mean, stats[:, 0], momentum)
            _update(running_var, div(stats[:, 3], float(count - 1)), momentum)
    return result


def _by_running_statistics(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    derivative: Derivative,
) -> Tensor:
    x = widened("batch_norm", input)
    root = sqrt(running_var.float() + eps, derivative=derivative)
    factor = div(1.0 if weight is None else weight.float(), root, derivative=derivative)
    return rounded(_affine(x - _per_channel(running_mean, x), factor, bias, derivative), input)


def _normalized_rows(x: Tensor, count: int, eps: float, derivative: Derivative) -> Tensor:
    """``x`` cut into ``count`` rows, each normalized; the shape stays."""
    matrix = x.reshape(count, x.numel() // count if count else 0)
    result: Tensor = layer_norm(matrix, None, None, 1, eps, is_exact(derivative))[0]
    return result.view(x.shape)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.group_norm``: layer norm of each group of channels, then ``mul(y, weight) + bias``.

    Args:
        input: ``(batch, channels, *)``; a group is a row in the order (channel, position).
        num_groups: divides the channels.
        weight, bias: ``(channels,)``.
    """
    _check_channels("group_norm", input, weight=weight, bias=bias)
    if num_groups <= 0 or input.shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm(): 'num_groups' must divide the {input.shape[1]} channels of 'input', got {num_groups}"
        )
    x = widened("group_norm", input)
    normal = _normalized_rows(x, input.shape[0] * num_groups, eps, derivative)
    return rounded(_affine(normal, weight, bias, derivative), input)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.instance_norm``: layer norm of each channel of each sample, then ``mul(y, weight) + bias``.

    Running statistics move towards the means over the batch of the samples' means and variances (``var``), as in
    ``batch_norm``; without ``use_input_stats`` they normalize.

    Raises:
        ValueError: one position in each channel.
        RuntimeError: neither ``use_input_stats`` nor running statistics.
    """
    _check_channels(
        "instance_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("instance_norm(): 'running_mean' and 'running_var' must be given to normalize with them")
        return _by_running_statistics(input, running_mean, running_var, weight, bias, eps, derivative)
    positions = math.prod(input.shape[2:])
    if positions == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    x = widened("instance_norm", input)
    normal = _normalized_rows(x, input.shape[0] * input.shape[1], eps, derivative)
    if x.numel() and (running_mean is not None or running_var is not None):
        with torch.no_grad():
            flat = x.reshape(*x.shape[:2], positions)
            middle = mean(flat, 2, True)
            centred = flat - middle
            variance = div(sum(mul(centred, centred), 2), float(positions - 1))
            _update(running_mean, mean(middle.squeeze(2), 0), momentum)
            _update(running_var, mean(variance, 0), momentum)
    return rounded(_affine(normal, weight, bias, derivative), input)


def local_response_norm(
    input: Tensor,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    derivative: Derivative = "approximate",
) -> Tensor:
    """``torch.nn.functional.local_response_norm``: ``div(x, pow(k + mul(div(s, size), alpha), beta))`` with the sum s
    of ``mul(x, x)`` over ``size`` neighbouring channels, zeros beyond the ends.
    """
    if input.dim() < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.dim()} dimensions)")
    x = widened("local_response_norm", input)
    squares = mul(x, x, derivative=derivative).movedim(1, -1)
    padded = torch.nn.functional.pad(squares, (size >> 1, (size - 1) >> 1))
    windows = sum(padded.unfold(-1, size, 1), -1).movedim(-1, 1)
    level = mul(div(windows, float(size), derivative=derivative), alpha, derivative=derivative) + k
    return rounded(div(x, pow(level, beta, derivative=derivative), derivative=derivative), input)
