"""Differentiating a gradient again: through its written formula, composed of differentiable operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def save_all(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Setup of an operation: keeps its leading tensors; the other arguments become ``ctx.rest``."""
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    ctx.rest = inputs[len(tensors) :]
    ctx.save_for_backward(*tensors)


def differentiate(formula: Callable[..., Tensor], ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients by the saved tensors of ``formula`` of them, for ``grad`` of its result.

    The fused operation and its formula return the same bits (up to intermediate rounding in half
    precision), so the formula's graph stands for the operation's.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        operands = tuple(
            x if again else x.detach().requires_grad_(needed)
            for x, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
        )
        wanted = [x for x in operands if x.requires_grad]
        found = iter(torch.autograd.grad(formula(*operands), wanted, grad, create_graph=again, allow_unused=True))
    return tuple(next(found) if x.requires_grad else None for x in operands)
