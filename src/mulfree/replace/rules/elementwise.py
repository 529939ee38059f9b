"""Products, quotients, powers and functions, number by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.ops.checks import broadcast_shape
from mulfree.ops.reductions import broadcast
from mulfree.policy import Policy
from mulfree.replace.rules._operands import floats, promoted
from mulfree.replace.rules._rule import rule


@rule("mul", "multiply", closed=True)
def _mul(policy: Policy, input: Any, other: Any) -> Tensor:
    return MF.mul(*promoted(input, other), derivative=policy.elementwise.derivative)


@rule("div", "divide", "true_divide")
def _div(policy: Policy, input: Any, other: Any, *, rounding_mode: Any = None) -> Tensor:
    if rounding_mode is not None and not _have_fractions(input, other):
        return torch.div(input, other, rounding_mode=rounding_mode)
    quotient: Tensor = MF.div(
        *promoted(input, other), rounding_mode=rounding_mode, derivative=policy.elementwise.derivative
    )
    return quotient


def _have_fractions(*operands: Any) -> bool:
    return any(x.is_floating_point() if isinstance(x, Tensor) else isinstance(x, float) for x in operands)


@rule("floor_divide", closed=True)
def _floor_divide(policy: Policy, input: Any, other: Any) -> Tensor:
    return _div(policy, input, other, rounding_mode="floor")


@rule("add", closed=True)
def _add(policy: Policy, input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    return torch.add(*_terms(policy, input, other, alpha))


@rule("sub", "subtract", closed=True)
def _sub(policy: Policy, input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    return torch.sub(*_terms(policy, input, other, alpha))


@rule("rsub", closed=True)
def _rsub(policy: Policy, input: Any, other: Any, alpha: float = 1) -> Tensor:
    if not isinstance(other, Tensor):
        other = torch.full((), other, dtype=input.dtype, device=input.device)
    return _sub(policy, other, input, alpha=alpha)


def _terms(policy: Policy, input: Any, other: Any, alpha: float) -> tuple[Any, Any]:
    """Two operands of one shape, the second times ``alpha``."""
    if alpha != 1:
        if not isinstance(other, Tensor):
            other = torch.full((), other, device=input.device)
        other = MF.mul(*promoted(other, float(alpha)), derivative=policy.elementwise.derivative)
    if isinstance(input, Tensor) and isinstance(other, Tensor) and input.shape != other.shape:
        shape = broadcast_shape(input.shape, other.shape)
        return broadcast(input, shape), broadcast(other, shape)
    return input, other


@rule("pow", "float_power", closed=True)
def _pow(policy: Policy, input: Any, exponent: Any) -> Tensor:
    base, power = promoted(input, exponent)
    if not isinstance(base, Tensor):  # a number to the power of a tensor
        base = torch.full((), base, dtype=power.dtype, device=power.device)
    return MF.pow(base, power, derivative=policy.elementwise.derivative)


def _unary(function: Callable[..., Tensor], *, closed: bool = False) -> None:
    def apply(policy: Policy, input: Tensor) -> Tensor:
        return function(floats(input), derivative=policy.elementwise.derivative)

    rule(function.__name__, closed=closed)(apply)


for _function in (
    MF.exp, MF.exp2, MF.expm1, MF.log, MF.log2, MF.log10, MF.log1p, MF.sqrt, MF.rsqrt, MF.reciprocal, MF.sinh, MF.cosh,
    MF.erf,
):  # fmt: skip
    _unary(_function)
_unary(MF.square, closed=True)


def _several(function: Callable[..., Tensor], *, closed: bool = False) -> None:
    def apply(policy: Policy, *operands: Any, **kwargs: Any) -> Tensor:
        return function(*promoted(*operands), **kwargs, derivative=policy.elementwise.derivative)

    rule(function.__name__, closed=closed)(apply)


_several(MF.addcmul, closed=True)
for _joining in (MF.addcdiv, MF.lerp, MF.hypot, MF.logaddexp, MF.logaddexp2):
    _several(_joining)


def _extremum(function: Callable[..., Tensor], whole: Callable[..., Tensor] | None, *names: str) -> None:
    """``torch.max`` and ``torch.min`` of two tensors or of all entries share gradients between equal entries."""

    def apply(policy: Policy, input: Tensor, *args: Any, **kwargs: Any) -> Any:
        other = args[0] if args else kwargs.get("other")
        if isinstance(other, Tensor):
            return function(*promoted(input, other))
        if whole is not None and not args and not kwargs:
            return whole(input)
        return getattr(torch, names[0])(input, *args, **kwargs)

    rule(*names, closed=True)(apply)


_extremum(MF.maximum, None, "maximum")
_extremum(MF.minimum, None, "minimum")
_extremum(MF.fmax, None, "fmax")
_extremum(MF.fmin, None, "fmin")
_extremum(MF.maximum, MF.amax, "max")
_extremum(MF.minimum, MF.amin, "min")


@rule("aminmax", closed=True)
def _aminmax(policy: Policy, input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    dims = () if dim is None else dim
    return torch.return_types.aminmax((MF.amin(input, dims, keepdim), MF.amax(input, dims, keepdim)))


@rule("median", "nanmedian", closed=True)
def _median(policy: Policy, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """One entry is chosen, also among equal ones, and gets the gradient; torch shares it between equal ones."""
    return torch.median(input, *args, **kwargs) if args or kwargs else input.flatten().median(0).values


@rule("clamp", "clip", closed=True)
def _clamp(policy: Policy, input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        input, *bounds = promoted(input, *(x for x in (min, max) if x is not None))
        return MF.clamp(input, None if min is None else bounds[0], None if max is None else bounds[-1])
    return torch.clamp(input, min, max)


@rule("clamp_min", closed=True)
def _clamp_min(policy: Policy, input: Tensor, min: Any) -> Tensor:
    return _clamp(policy, input, min)


@rule("clamp_max", closed=True)
def _clamp_max(policy: Policy, input: Tensor, max: Any) -> Tensor:
    return _clamp(policy, input, None, max)


@rule("nan_to_num", closed=True)
def _nan_to_num(
    policy: Policy, input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    limits = torch.finfo(input.dtype)
    result = input.masked_fill(input.isnan(), 0.0 if nan is None else nan)
    result = result.masked_fill(input.isposinf(), limits.max if posinf is None else posinf)
    return result.masked_fill(input.isneginf(), limits.min if neginf is None else neginf)


@rule("nansum", closed=True)
def _nansum(policy: Policy, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return MF.sum(input.masked_fill(input.isnan(), 0.0), *args, **kwargs)


@rule("copysign", closed=True)
def _copysign(policy: Policy, input: Tensor, other: Any) -> Tensor:
    sign = other.signbit() if isinstance(other, Tensor) else torch.tensor(float(other)).signbit()
    return torch.where(input.signbit() == sign, input, -input)


def _sums_only(name: str, position: int, *own: str) -> None:
    """A function that combines entries: free if it adds them; other ways multiply in their gradients."""

    def apply(policy: Policy, *args: Any, **kwargs: Any) -> Any:
        reduce = kwargs.get("reduce", args[position] if len(args) > position else None)
        if reduce not in own:
            raise NotImplementedError(f"{name}(): reduce={reduce!r} has no piecewise affine form")
        return getattr(torch, name)(*args, **kwargs)

    rule(name, closed=True)(apply)


_sums_only("scatter_reduce", 4, "sum")
_sums_only("index_reduce", 4)
_sums_only("segment_reduce", 1)


@rule("index_add", closed=True)
def _index_add(policy: Policy, input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    if alpha != 1:
        source = MF.mul(source, float(alpha), derivative=policy.elementwise.derivative)
    return torch.index_add(input, dim, index, source)
