"""Optimizer steps, in place on float32 tensors (``numerics.rows.adamw``)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mulfree.backends.contract import AdamWScalars
from mulfree.backends.select import for_device
from mulfree.ops.registry import define_in_place

_scalars = lru_cache(maxsize=256)(AdamWScalars)


def _adamw_(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    lr: int,
    beta1: int,
    beta2: int,
    eps: int,
    decay: int,
    correction1: int,
    correction2: int,
) -> None:
    operands = {"param": param, "grad": grad, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    for argument, x in operands.items():
        if x.dtype is not torch.float32 or x.device != param.device:
            raise TypeError(
                f"adamw_(): argument '{argument}' must be float32 on {param.device}, got {x.dtype} on {x.device}"
            )
        if x.shape != param.shape:
            raise RuntimeError(
                f"adamw_(): argument '{argument}' must be {tuple(param.shape)} like 'param', got {tuple(x.shape)}"
            )
    scalars = _scalars(lr, beta1, beta2, eps, decay, correction1, correction2)
    changed = [x if x.is_contiguous() else x.contiguous() for x in (param, exp_avg, exp_avg_sq)]
    for_device(param.device).adamw_(changed[0], grad.contiguous(), changed[1], changed[2], scalars)
    for x, result in zip((param, exp_avg, exp_avg_sq), changed, strict=True):
        if result is not x:
            x.copy_(result)


adamw_ = define_in_place(
    "adamw_(Tensor(a!) param, Tensor grad, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, int lr, int beta1, int beta2, "
    "int eps, int decay, int correction1, int correction2) -> ()",
    _adamw_,
    mutated=(0, 2, 3),
)
"""One step; the scalars are bits, see ``backends.contract.AdamWScalars``."""
