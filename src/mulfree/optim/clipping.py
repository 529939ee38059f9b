"""Gradient clipping in PA arithmetic, with torch's names and signatures."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.functional._explained import explained
from mulfree.ops.constants import quotient


@explained
@torch.no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """``torch.nn.utils.clip_grad_norm_``: scales all gradients by one factor so that their norm is ``max_norm``.

    That is ``get_total_norm`` of the gradients and ``clip_grads_with_norm_``.

    Args:
        parameters: one tensor or several; those without a gradient are left out.
        max_norm: not negative; 0 clears the gradients, infinity leaves them.
        norm_type, error_if_nonfinite: as there.
        foreach: None or False.

    Returns:
        The norm before clipping, a float32 scalar.

    Raises:
        ValueError: ``max_norm`` is negative or NaN, ``norm_type`` is not positive, or ``foreach`` is True.
        RuntimeError: the norm is not finite and ``error_if_nonfinite``, or a gradient is sparse.

    Deviations: torch turns the gradients around if ``max_norm`` is negative, and makes them NaN if it is.
    """
    _check_limit("clip_grad_norm_", "max_norm", max_norm)
    several = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm = get_total_norm(_gradients(several), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(several, max_norm, norm)
    return norm


@explained
@torch.no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """``torch.nn.utils.get_total_norm``: the norm of all numbers of all tensors.

    The 2-norm is ``sqrt(sum(mul(x, x)))``, another p-norm ``pow(sum(pow(|x|, p)), div(1, p))``, each tensor summed by
    itself and then the sums; powers below 2**-126 count as zero. The infinity norm is the largest magnitude.

    Args:
        tensors: one tensor or several, none for a norm of zero.
        norm_type: positive, infinity included.
        foreach: None or False.

    Returns:
        A float32 scalar on the device of the first tensor.

    Raises:
        ValueError: ``norm_type`` is not positive, or ``foreach`` is True.
        RuntimeError: the norm is not finite and ``error_if_nonfinite``, or a tensor is sparse.
    """
    _refuse_foreach("get_total_norm", foreach)
    norm_type = float(norm_type)
    if not norm_type > 0.0:
        raise ValueError(f"get_total_norm(): norm_type must be positive, got {norm_type}")
    several = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    _check_layout("get_total_norm", several)
    several = [x.float() for x in several if x.numel()]
    norm = _norm(several, norm_type) if several else torch.tensor(0.0)
    if error_if_nonfinite and not bool(torch.isfinite(norm)):
        raise RuntimeError(
            f"get_total_norm(): the norm of order {norm_type} is {float(norm)}; "
            "error_if_nonfinite=False clips all the same"
        )
    return norm


def _norm(tensors: list[Tensor], order: float) -> Tensor:
    device = tensors[0].device
    if order == math.inf:
        return torch.stack([x.abs().amax().to(device) for x in tensors]).amax()
    if order == 2.0:
        return MF.sqrt(MF.sum(torch.stack([MF.sum(MF.mul(x, x)).to(device) for x in tensors])))
    powers = [MF.sum(x.abs() if order == 1.0 else MF.pow(x.abs(), order)).to(device) for x in tensors]
    whole = MF.sum(torch.stack(powers))
    return whole if order == 1.0 else MF.pow(whole, quotient(1.0, order))


@explained
@torch.no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """``torch.nn.utils.clip_grads_with_norm_``: scales gradients by ``div(max_norm, total_norm + 1e-6)``, at most 1.

    Args:
        parameters: one tensor or several; those without a gradient are left out.
        max_norm: not negative.
        foreach: None or False.

    Raises:
        ValueError: ``max_norm`` is negative or NaN, or ``foreach`` is True.
        RuntimeError: a gradient is sparse.
    """
    _refuse_foreach("clip_grads_with_norm_", foreach)
    _check_limit("clip_grads_with_norm_", "max_norm", max_norm)
    factor = MF.div(float(max_norm), total_norm.float() + 1e-6).clamp(max=1.0)
    for g in _gradients(parameters):
        g.copy_(MF.mul(g, factor.to(g.device)))


@explained
@torch.no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """``torch.nn.utils.clip_grad_value_``: clamps every gradient to +-``clip_value``; ``foreach`` is None or False.

    Raises:
        ValueError: ``clip_value`` is negative or NaN, or ``foreach`` is True.
    """
    _refuse_foreach("clip_grad_value_", foreach)
    _check_limit("clip_grad_value_", "clip_value", clip_value)
    for g in _gradients(parameters):
        g.clamp_(-float(clip_value), float(clip_value))


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    several = [parameters] if isinstance(parameters, Tensor) else parameters
    gradients = [p.grad for p in several if p.grad is not None]
    _check_layout("clipping", gradients)
    return gradients


def _check_layout(operation: str, tensors: list[Tensor]) -> None:
    if any(hasattr(x, "placements") for x in tensors):
        raise NotImplementedError(f"{operation}: gradients sharded over processes (DTensor) are not supported")
    if any(x.layout is not torch.strided for x in tensors):
        raise RuntimeError(f"{operation}: sparse gradients are not supported")


def _check_limit(operation: str, argument: str, limit: float) -> None:
    if not float(limit) >= 0.0:
        raise ValueError(f"{operation}(): {argument} must not be negative or NaN, got {float(limit)}")


def _refuse_foreach(operation: str, foreach: bool | None) -> None:
    if foreach:
        raise ValueError(f"{operation}(): foreach must be None or False, got {foreach}")
