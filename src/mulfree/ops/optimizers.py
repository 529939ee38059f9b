"""Optimizer steps, in place on float32 tensors (``numerics.rows.adamw``)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mulfree.backends.contract import AdamWScalars
from mulfree.backends.select import for_tensor
from mulfree.ops.registry import define_in_place

_scalars = lru_cache(maxsize=256)(AdamWScalars)


def _adamw_(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avgs: list[Tensor],
    exp_avg_sqs: list[Tensor],
    lr: int,
    beta1: int,
    beta2: int,
    eps: int,
    decay: int,
    correction1: int,
    correction2: int,
) -> None:
    scalars = _scalars(lr, beta1, beta2, eps, decay, correction1, correction2)
    for param, grad, exp_avg, exp_avg_sq in zip(params, grads, exp_avgs, exp_avg_sqs, strict=True):
        _check(param, grad, exp_avg, exp_avg_sq)
        step = for_tensor(param).adamw_
        if param.is_contiguous() and exp_avg.is_contiguous() and exp_avg_sq.is_contiguous():
            step(param, grad.contiguous(), exp_avg, exp_avg_sq, scalars)
            continue
        changed = [x.contiguous() for x in (param, exp_avg, exp_avg_sq)]
        step(changed[0], grad.contiguous(), changed[1], changed[2], scalars)
        for x, result in zip((param, exp_avg, exp_avg_sq), changed, strict=True):
            x.copy_(result)


def _check(param: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor) -> None:
    shape, device = param.shape, param.device
    for x in (param, grad, exp_avg, exp_avg_sq):
        if x.dtype is not torch.float32 or x.device != device or x.shape != shape:
            break
    else:
        return
    for argument, x in {"params": param, "grads": grad, "exp_avgs": exp_avg, "exp_avg_sqs": exp_avg_sq}.items():
        if x.dtype is not torch.float32 or x.device != device:
            raise TypeError(f"adamw_(): argument '{argument}' must be float32 on {device}, got {x.dtype} on {x.device}")
        if x.shape != shape:
            raise RuntimeError(
                f"adamw_(): argument '{argument}' must be {tuple(shape)} like 'params', got {tuple(x.shape)}"
            )


adamw_ = define_in_place(
    "adamw_(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_sqs, int lr, int beta1, "
    "int beta2, int eps, int decay, int correction1, int correction2) -> ()",
    _adamw_,
    mutated=(0, 2, 3),
)
"""One step of every parameter; the scalars are bits, see ``backends.contract.AdamWScalars``."""
