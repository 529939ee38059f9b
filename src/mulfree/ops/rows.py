"""Operations along one dimension: softmax, log_softmax, logsumexp, cross_entropy, layer_norm (spec 7).

The backend works on contiguous matrices ``(rows, n)``; this module lays the tensors out so and back.
``stats`` are what the forward pass hands to the backward pass, always float32.
Half-precision operands are widened exactly, computed as float32 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.rounding import round_to
from mulfree.backends.select import for_tensor
from mulfree.ops.checks import are_plain, check_float, check_floats
from mulfree.ops.registry import define
from mulfree.ops.targets import check_targets, count_targets

_FLOAT = torch.float32


def _to_rows(x: Tensor, dim: int) -> Tensor:
    """float32 matrix ``(rows, n)`` with ``dim`` last."""
    ndim = x.dim()
    if ndim == 0:
        return x.float().reshape(1, 1)
    return _as_matrix(x if dim == ndim - 1 else x.movedim(dim, -1), 1)


def _as_matrix(x: Tensor, ndim: int) -> Tensor:
    """float32 matrix whose rows are the last ``ndim`` dimensions."""
    if x.dtype is not _FLOAT:
        x = x.float()
    dims = x.dim()
    if ndim == 1 and dims > 1:
        x = x if dims == 2 else x.flatten(0, -2)
    else:
        x = x.reshape(math.prod(x.shape[: dims - ndim]), math.prod(x.shape[dims - ndim :]))
    return x.contiguous()


def _from_rows(rows: Tensor, like: Tensor, dim: int) -> Tensor:
    """The inverse of ``_to_rows``: contiguous, with the shape and dtype of ``like``."""
    is_last = dim == like.dim() - 1
    if is_last and rows.shape == like.shape and rows.dtype is like.dtype:
        return rows
    if not is_last and like.dim() > 0:
        rows = rows.view(like.movedim(dim, -1).shape).movedim(-1, dim).contiguous()
    return round_to(rows.view(like.shape), like.dtype)


def _row_count(x: Tensor, dim: int) -> int:
    return math.prod(size for i, size in enumerate(x.shape) if i != dim)


def _stats_empty(x: Tensor, rows: int) -> Tensor:
    return x.new_empty((rows, 2), dtype=_FLOAT)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, ctx.dim, ctx.exact = inputs
    _keep(ctx, output[1], x)


def _keep(ctx: Any, stats: Tensor, *operands: Tensor | None) -> None:
    ctx.save_for_backward(*operands, stats)
    ctx.mark_non_differentiable(stats)
    ctx.set_materialize_grads(False)


def _define_along_dim(name: str, reduces: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """softmax and log_softmax, whose result has the shape of ``x``, and logsumexp, which loses ``dim``."""

    def kernel(x: Tensor, dim: int, exact: bool) -> tuple[Tensor, Tensor]:
        check_float(name, "input", x)
        forward: Callable[[Tensor], tuple[Tensor, Tensor]] = getattr(for_tensor(x), name)
        rows = _to_rows(x, dim)
        if rows.numel() == 0:
            empty = torch.full(_result_shape(x, dim), -math.inf, dtype=x.dtype, device=x.device)
            return empty, _stats_empty(x, rows.shape[0]).zero_()
        result, stats = forward(rows)
        if reduces:
            return round_to(result.view(_result_shape(x, dim)), x.dtype), stats
        return _from_rows(result, x, dim), stats

    def _result_shape(x: Tensor, dim: int) -> Sequence[int]:
        return [size for i, size in enumerate(x.shape) if i != dim] if reduces else x.shape

    def fake(x: Tensor, dim: int, exact: bool) -> tuple[Tensor, Tensor]:
        dtype = check_float(name, "input", x)
        return x.new_empty(_result_shape(x, dim), dtype=dtype), _stats_empty(x, _row_count(x, dim))

    def grad_kernel(grad: Tensor, x: Tensor, stats: Tensor, dim: int, exact: bool) -> Tensor:
        if not are_plain(grad, x):
            check_floats(f"{name}_grad", grad=grad, input=x)
        backward = getattr(for_tensor(x), f"{name}_grad")
        rows = _to_rows(x, dim)
        if rows.numel() == 0:
            return torch.empty(x.shape, dtype=x.dtype, device=x.device)
        grad_rows = grad.float().reshape(-1).contiguous() if reduces else _to_rows(grad, dim)
        return _from_rows(backward(grad_rows, rows, stats, exact), x, dim)

    def grad_fake(grad: Tensor, x: Tensor, stats: Tensor, dim: int, exact: bool) -> Tensor:
        return x.new_empty(x.shape, dtype=check_floats(f"{name}_grad", grad=grad, input=x))

    by_input = define(
        f"{name}_grad(Tensor grad, Tensor x, Tensor stats, int dim, bool exact) -> Tensor", grad_kernel, grad_fake
    )

    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return None, None, None
        return by_input(grad, *ctx.saved_tensors, ctx.dim, ctx.exact), None, None

    operation = define(
        f"{name}(Tensor x, int dim, bool exact) -> (Tensor, Tensor)", kernel, fake, setup=_setup, backward=backward
    )
    return operation, by_input


softmax, softmax_grad = _define_along_dim("softmax", reduces=False)
log_softmax, log_softmax_grad = _define_along_dim("log_softmax", reduces=False)
logsumexp, logsumexp_grad = _define_along_dim("logsumexp", reduces=True)


def _cross_entropy(
    x: Tensor, target: Tensor, ignore_index: int, label_smoothing: float, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = check_targets("cross_entropy", x, target)
    counted = count_targets("cross_entropy", target, x.shape[1], ignore_index)
    losses, stats = for_tensor(x).cross_entropy(
        x.float().contiguous(), target.contiguous(), ignore_index, label_smoothing
    )
    return round_to(losses, dtype), counted, stats


def _cross_entropy_fake(
    x: Tensor, target: Tensor, ignore_index: int, label_smoothing: float, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    check_targets("cross_entropy", x, target)
    rows = x.shape[0]
    return x.new_empty((rows,)), x.new_empty((), dtype=_FLOAT), _stats_empty(x, rows)


def _cross_entropy_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, target, *ctx.rest = inputs
    ctx.save_for_backward(x, target, output[2])
    ctx.mark_non_differentiable(output[1], output[2])
    ctx.set_materialize_grads(False)


def _cross_entropy_backward(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    by_x = None if grad is None else cross_entropy_grad(grad, *ctx.saved_tensors, *ctx.rest)
    return by_x, None, None, None, None


def _cross_entropy_grad(
    grad: Tensor, x: Tensor, target: Tensor, stats: Tensor, ignore_index: int, label_smoothing: float, exact: bool
) -> Tensor:
    dtype = _FLOAT if are_plain(grad, x) else check_floats("cross_entropy_grad", grad=grad, input=x)
    result = for_tensor(x).cross_entropy_grad(
        grad.float().contiguous(),
        x.float().contiguous(),
        target.contiguous(),
        stats,
        ignore_index,
        label_smoothing,
        exact,
    )
    return round_to(result, dtype)


def _cross_entropy_grad_fake(
    grad: Tensor, x: Tensor, target: Tensor, stats: Tensor, ignore_index: int, label_smoothing: float, exact: bool
) -> Tensor:
    return x.new_empty(x.shape, dtype=check_floats("cross_entropy_grad", grad=grad, input=x))


cross_entropy_grad = define(
    "cross_entropy_grad(Tensor grad, Tensor x, Tensor target, Tensor stats, int ignore_index, "
    "float label_smoothing, bool exact) -> Tensor",
    _cross_entropy_grad,
    _cross_entropy_grad_fake,
)

cross_entropy = define(
    "cross_entropy(Tensor x, Tensor target, int ignore_index, float label_smoothing, bool exact) "
    "-> (Tensor, Tensor, Tensor)",
    _cross_entropy,
    _cross_entropy_fake,
    setup=_cross_entropy_setup,
    backward=_cross_entropy_backward,
)
"""Losses of the rows of ``x`` ``(rows, classes)``; how many rows count, as a float32 scalar; stats."""


def _check_layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, ndim: int) -> torch.dtype:
    shape = x.shape[x.dim() - ndim :]
    for argument, operand in (("weight", weight), ("bias", bias)):
        if operand is not None and operand.shape != shape:
            raise RuntimeError(
                f"layer_norm(): '{argument}' must be {tuple(shape)} like the normalized dimensions of 'input', "
                f"got {tuple(operand.shape)}"
            )
    if are_plain(x, weight, bias):
        return _FLOAT
    return check_floats("layer_norm", input=x, weight=weight, bias=bias)


def _vector(x: Tensor | None) -> Tensor | None:
    if x is None or (x.dim() == 1 and x.dtype is _FLOAT):
        return x
    return x.float().reshape(-1)


def _shaped(x: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    x = x if x.shape == shape else x.view(shape)
    return round_to(x, dtype)


def _layer_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, ndim: int, eps: float, exact: bool
) -> tuple[Tensor, Tensor]:
    dtype = _check_layer_norm(x, weight, bias, ndim)
    backend: Backend = for_tensor(x)
    rows = _as_matrix(x, ndim)
    if rows.numel() == 0:
        return torch.empty(x.shape, dtype=dtype, device=x.device), _stats_empty(x, rows.shape[0]).zero_()
    result, stats = backend.layer_norm(rows, _vector(weight), _vector(bias), eps)
    return _shaped(result, x.shape, dtype), stats


def _layer_norm_fake(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, ndim: int, eps: float, exact: bool
) -> tuple[Tensor, Tensor]:
    _check_layer_norm(x, weight, bias, ndim)
    return x.new_empty(x.shape), _stats_empty(x, math.prod(x.shape[: x.dim() - ndim]))


def _layer_norm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, bias, ctx.ndim, _, ctx.exact = inputs
    ctx.has_bias = bias is not None
    _keep(ctx, output[1], x, weight)


def _layer_norm_backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return None, None, None, None, None, None
    x, weight, stats = ctx.saved_tensors
    by_x, by_weight, by_bias = layer_norm_grad(grad, x, weight, stats, ctx.ndim, ctx.exact)
    return by_x, None if weight is None else by_weight, by_bias if ctx.has_bias else None, None, None, None


def _layer_norm_grad(
    grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, ndim: int, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dtype = _FLOAT if are_plain(grad, x) else check_floats("layer_norm_grad", grad=grad, input=x)
    rows = _as_matrix(x, ndim)
    shape = x.shape[x.dim() - ndim :]
    if rows.numel() == 0:
        by_x, by_weight, by_bias = rows, rows.new_zeros(rows.shape[1]), rows.new_zeros(rows.shape[1])
    else:
        by_x, by_weight, by_bias = for_tensor(x).layer_norm_grad(
            _as_matrix(grad, ndim), rows, _vector(weight), stats, exact
        )
    return _shaped(by_x, x.shape, dtype), _shaped(by_weight, shape, dtype), _shaped(by_bias, shape, dtype)


def _layer_norm_grad_fake(
    grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, ndim: int, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    shape = x.shape[x.dim() - ndim :]
    return x.new_empty(x.shape), x.new_empty(shape), x.new_empty(shape)


layer_norm_grad = define(
    "layer_norm_grad(Tensor grad, Tensor x, Tensor? weight, Tensor stats, int ndim, bool exact) "
    "-> (Tensor, Tensor, Tensor)",
    _layer_norm_grad,
    _layer_norm_grad_fake,
)

layer_norm = define(
    "layer_norm(Tensor x, Tensor? weight, Tensor? bias, int ndim, float eps, bool exact) -> (Tensor, Tensor)",
    _layer_norm,
    _layer_norm_fake,
    setup=_layer_norm_setup,
    backward=_layer_norm_backward,
)
"""Normalization over the last ``ndim`` dimensions, which are the shape of ``weight`` and ``bias``."""
