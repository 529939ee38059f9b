"""Arguments that torch does not hand to function modes (seen in torch 2.11 and 2.13), from the call's own frame."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

LOST: dict[Callable[..., Any], str] = {F.l1_loss: "weight", torch.functional.chain_matmul: "out"}
"""The name of the one argument that each of these functions keeps to itself."""


def with_lost(function: Callable[..., Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """``keywords`` of a call of ``function``, one of ``LOST``, of which a mode is told just now, completed."""
    name, code = LOST[function], getattr(function, "__code__", None)
    if name in keywords:
        return keywords
    frame = sys._getframe()
    while frame.f_code is not code:
        if frame.f_back is None:
            return keywords
        frame = frame.f_back
    return {**keywords, name: frame.f_locals[name]}
