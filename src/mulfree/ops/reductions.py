"""The operation ``sum`` in the law's order (spec 6) and the reduction of gradients of broadcast operands."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.ops.checks import are_plain, check_float
from mulfree.ops.registry import define


def _sum(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    backend = for_tensor(x)
    if are_plain(x):
        return backend.sum(x, tuple(dims), keepdim)
    dtype = check_float("sum", "input", x)
    return round_to(backend.sum(x.float(), tuple(dims), keepdim), dtype)


def _sum_fake(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    dtype = check_float("sum", "input", x)
    if keepdim:
        shape = [1 if i in dims else size for i, size in enumerate(x.shape)]
    else:
        shape = [size for i, size in enumerate(x.shape) if i not in dims]
    return x.new_empty(shape, dtype=dtype)


def _sum_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, ctx.dims, ctx.keepdim = inputs
    ctx.shape = x.shape


def _sum_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    if not ctx.keepdim:
        for dim in ctx.dims:
            grad = grad.unsqueeze(dim)
    return grad.expand(ctx.shape), None, None


sum_dims = define(
    "sum(Tensor x, int[] dims, bool keepdim) -> Tensor",
    _sum,
    _sum_fake,
    setup=_sum_setup,
    backward=_sum_backward,
)
"""Sum over ``dims``, a tuple that is non-negative, ascending and not empty."""


def sum_to(grad: Tensor, operand: Tensor) -> Tensor:
    """``grad`` of the broadcast shape reduced to the shape and dtype of ``operand``."""
    shape = operand.shape
    if grad.shape != shape:
        extra = grad.dim() - len(shape)
        dims = (*range(extra), *(i + extra for i, size in enumerate(shape) if size == 1 and grad.shape[i + extra] != 1))
        grad = sum_dims(grad, dims, False).reshape(shape)
    return round_to(grad, operand.dtype)


class _Broadcast(torch.autograd.Function):
    """A broadcast view whose gradient is summed in the law's order; ``Tensor.expand`` leaves the order to torch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(x)
        return x.expand(shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return sum_to(grad, ctx.saved_tensors[0]), None


def broadcast(x: Tensor, shape: torch.Size) -> Tensor:
    """``x`` expanded to ``shape``."""
    if x.shape == shape or not (x.requires_grad and torch.is_grad_enabled()):
        return x.expand(shape)
    result: Tensor = _Broadcast.apply(x, shape)  # type: ignore[no-untyped-call]
    return result
