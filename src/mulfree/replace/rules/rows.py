"""Softmax, its logarithm and cross-entropy, in the base that the policy names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.policy import Policy
from mulfree.replace.rules._operands import floats
from mulfree.replace.rules._rule import rule


@rule("softmax", "_softmax", "_safe_softmax", groups=("softmax",))
def _softmax(
    policy: Policy, input: Tensor, dim: int | None = None, _stacklevel: Any = None, dtype: torch.dtype | None = None
) -> Tensor:
    dim, dtype = _row_options(input, dim, _stacklevel, dtype)
    softmax = MF.softmax if policy.base == "e" else MF.softmax2
    return softmax(floats(input), dim, dtype, derivative=policy.softmax.derivative)


@rule("log_softmax", "_log_softmax", groups=("softmax",))
def _log_softmax(
    policy: Policy, input: Tensor, dim: int | None = None, _stacklevel: Any = None, dtype: torch.dtype | None = None
) -> Tensor:
    dim, dtype = _row_options(input, dim, _stacklevel, dtype)
    log_softmax = MF.log_softmax if policy.base == "e" else MF.log_softmax2
    return log_softmax(floats(input), dim, dtype, derivative=policy.softmax.derivative)


@rule("cross_entropy", "cross_entropy_loss", groups=("loss",))
def _cross_entropy(
    policy: Policy,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: Any = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    how = {"derivative": policy.loss.derivative}
    if policy.base == "2" and size_average is None and reduce is None:
        return MF.cross_entropy2(input, target, weight, ignore_index, reduction, label_smoothing, **how)
    return MF.cross_entropy(
        input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing, **how
    )


def _row_options(
    input: Tensor, dim: int | None, third: Any, dtype: torch.dtype | None
) -> tuple[int, torch.dtype | None]:
    """``F.softmax`` has a stack level in the place where ``torch.softmax`` has the dtype; its dim may be implicit."""
    if dim is None:
        dim = 0 if input.dim() in (0, 1, 3) else 1
    return dim, third if isinstance(third, torch.dtype) else dtype
