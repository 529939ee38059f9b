"""From float32 results to the 16-bit formats of their operands (spec 5)."""

from __future__ import annotations

import torch
from torch import Tensor


def round_to(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``x`` rounded half-even to ``dtype``; a NaN becomes the format's canonical one, as torch's cast does not."""
    return x if x.dtype is dtype else x.to(dtype).masked_fill_(x.isnan(), float("nan"))
