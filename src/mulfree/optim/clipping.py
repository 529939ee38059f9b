"""Gradient clipping in PA arithmetic, with torch's names and signatures."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

import mulfree.functional as MF


@torch.no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """``torch.nn.utils.clip_grad_norm_``: scales all gradients by one factor so that their norm is ``max_norm``.

    The 2-norm is ``sqrt(sum(mul(g, g)))``, each gradient summed by itself and then the sums; the factor is
    ``div(max_norm, norm + 1e-6)``, at most 1. Squares below 2**-126 count as zero.

    Args:
        parameters: one tensor or several; those without a gradient are left out.
        norm_type: 2 or infinity.

    Returns:
        The norm before clipping, a float32 scalar.

    Raises:
        NotImplementedError: another ``norm_type``.
        RuntimeError: the norm is not finite and ``error_if_nonfinite``.
    """
    grads = _gradients(parameters)
    if norm_type not in (2.0, math.inf):
        raise NotImplementedError(f"clip_grad_norm_(): norm_type must be 2 or inf, got {norm_type}")
    if not grads:
        return torch.tensor(0.0)
    device = grads[0].device
    if norm_type == math.inf:
        norm = torch.stack([g.abs().amax().float().to(device) for g in grads if g.numel()]).amax()
    else:
        squares = [MF.sum(MF.mul(g.float(), g.float())).to(device) for g in grads]
        norm = MF.sqrt(MF.sum(torch.stack(squares)))
    if error_if_nonfinite and not bool(torch.isfinite(norm)):
        raise RuntimeError(f"clip_grad_norm_(): the norm of the gradients is {float(norm)}")
    factor = MF.div(float(max_norm), norm + 1e-6).clamp(max=1.0)
    for g in grads:
        g.copy_(MF.mul(g, factor.to(g.device)))
    return norm


@torch.no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """``torch.nn.utils.clip_grad_value_``: clamps every gradient to +-``clip_value``."""
    for g in _gradients(parameters):
        g.clamp_(-float(clip_value), float(clip_value))


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    several = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in several if p.grad is not None]
