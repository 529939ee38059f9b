"""Softmax and its logarithm."""

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
    return MF.softmax(floats(input), dim, dtype, derivative=policy.softmax.derivative)


@rule("log_softmax", "_log_softmax", groups=("softmax",))
def _log_softmax(
    policy: Policy, input: Tensor, dim: int | None = None, _stacklevel: Any = None, dtype: torch.dtype | None = None
) -> Tensor:
    dim, dtype = _row_options(input, dim, _stacklevel, dtype)
    return MF.log_softmax(floats(input), dim, dtype, derivative=policy.softmax.derivative)


def _row_options(
    input: Tensor, dim: int | None, third: Any, dtype: torch.dtype | None
) -> tuple[int, torch.dtype | None]:
    """``F.softmax`` has a stack level in the place where ``torch.softmax`` has the dtype; its dim may be implicit."""
    if dim is None:
        dim = 0 if input.dim() in (0, 1, 3) else 1
    return dim, third if isinstance(third, torch.dtype) else dtype
