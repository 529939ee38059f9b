"""Sums and means."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.policy import Policy
from mulfree.replace.rules._operands import floats
from mulfree.replace.rules._rule import rule


@rule("sum", closed=True)
def _sum(
    policy: Policy, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> Any:
    return MF.sum(floats(input) if dtype is None else input.to(dtype), dim, keepdim)


@rule("mean")
def _mean(
    policy: Policy, input: Tensor, dim: Any = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> Any:
    x = input if dtype is None else input.to(dtype)
    return MF.mean(x, dim, keepdim, derivative=policy.elementwise.derivative)
