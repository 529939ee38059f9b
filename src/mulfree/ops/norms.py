"""The operation ``batch_norm`` over tensors ``(batch, channels, positions)`` (spec 7).

Half-precision operands are widened exactly, computed as float32 and rounded once; ``stats`` are float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.ops.checks import are_plain, check_float, check_floats
from mulfree.ops.registry import define

_FLOAT = torch.float32
_STATS = 4


def _check(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> torch.dtype:
    """Parameters are of the input's dtype or float32."""
    dtype = check_float("batch_norm", "input", x)
    if x.dim() != 3:
        raise RuntimeError(f"batch_norm(): 'input' must be (batch, channels, positions), got {tuple(x.shape)}")
    for argument, operand in (("weight", weight), ("bias", bias)):
        if operand is None:
            continue
        if operand.shape != x.shape[1:2]:
            raise RuntimeError(
                f"batch_norm(): '{argument}' must be ({x.shape[1]},) like the channels of 'input', "
                f"got {tuple(operand.shape)}"
            )
        if operand.dtype is not _FLOAT:
            check_floats("batch_norm", input=x, **{argument: operand})
        elif operand.device != x.device:
            raise RuntimeError(f"batch_norm(): '{argument}' must be on {x.device} like 'input', got {operand.device}")
    return dtype


def _widened(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.float()


def _batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, exact: bool
) -> tuple[Tensor, Tensor]:
    dtype = _check(x, weight, bias)
    if x.numel() == 0:
        return torch.empty(x.shape, dtype=dtype, device=x.device), x.new_zeros((x.shape[1], _STATS), dtype=_FLOAT)
    result, stats = for_tensor(x).batch_norm(x.float(), _widened(weight), _widened(bias), eps)
    return round_to(result, dtype), stats


def _batch_norm_fake(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, exact: bool
) -> tuple[Tensor, Tensor]:
    _check(x, weight, bias)
    return x.new_empty(x.shape), x.new_empty((x.shape[1], _STATS), dtype=_FLOAT)


def _batch_norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, bias, _, ctx.exact = inputs
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.save_for_backward(x, weight, output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _batch_norm_backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return None, None, None, None, None
    x, weight, stats = ctx.saved_tensors
    by_x, by_weight, by_bias = batch_norm_grad(grad, x, weight, stats, ctx.exact)
    return (
        by_x,
        None if weight is None else round_to(by_weight, weight.dtype),
        None if ctx.bias_dtype is None else round_to(by_bias, ctx.bias_dtype),
        None,
        None,
    )


def _batch_norm_grad(
    grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = _FLOAT if are_plain(grad, x) else check_floats("batch_norm_grad", grad=grad, input=x)
    if x.numel() == 0:
        by_parameter = x.new_zeros(x.shape[1:2], dtype=_FLOAT)
        return torch.empty(x.shape, dtype=dtype, device=x.device), by_parameter, by_parameter.clone()
    by_x, by_weight, by_bias = for_tensor(x).batch_norm_grad(grad.float(), x.float(), _widened(weight), stats, exact)
    return round_to(by_x, dtype), by_weight, by_bias


def _batch_norm_grad_fake(
    grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    by_parameter = x.new_empty(x.shape[1:2], dtype=_FLOAT)
    return x.new_empty(x.shape), by_parameter, torch.empty_like(by_parameter)


batch_norm_grad = define(
    "batch_norm_grad(Tensor grad, Tensor x, Tensor? weight, Tensor stats, bool exact) -> (Tensor, Tensor, Tensor)",
    _batch_norm_grad,
    _batch_norm_grad_fake,
)
"""Gradients by x, weight and bias; those by the parameters are float32."""

batch_norm = define(
    "batch_norm(Tensor x, Tensor? weight, Tensor? bias, float eps, bool exact) -> (Tensor, Tensor)",
    _batch_norm,
    _batch_norm_fake,
    setup=_batch_norm_setup,
    backward=_batch_norm_backward,
)
"""Result and stats ``(channels, 4)``: mean, variance + eps, sum, sum of the centred squares."""
