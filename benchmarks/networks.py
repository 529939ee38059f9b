"""Attention and a recurrent layer, forward and backward, beside torch's."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import mulfree.functional as MF
from benchmarks.harness import Case, Context, Rival, require_same_bits
from mulfree.backends.select import backend

CHECKED = 2
"""Heads of attention, or sequences of a batch, whose result is compared with the reference."""


def _math(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(query, key, value)


def attention(context: Context) -> Iterator[Case]:
    """Scaled dot-product attention without a mask."""
    batch, heads, length, size = 8, 8, context.size(256, 32), context.size(64, 16)
    operands = tuple(context.normal(batch, heads, length, size).requires_grad_() for _ in range(3))
    upstream = context.normal(batch, heads, length, size)

    def run(function: object, operands: tuple[Tensor, ...] = operands, grad: Tensor = upstream) -> tuple[Tensor, ...]:
        assert callable(function)
        result = function(*operands)
        return (result, *torch.autograd.grad(result, operands, grad))

    def verify() -> None:
        few = tuple(x.detach()[0, :CHECKED].requires_grad_() for x in operands)
        with backend("reference"):
            expected = run(MF.scaled_dot_product_attention, few, upstream[0, :CHECKED])
        for index, (actual, correct) in enumerate(zip(run(MF.scaled_dot_product_attention), expected, strict=True)):
            require_same_bits(f"attention, result {index}", actual[0, :CHECKED], correct)

    rivals = (
        Rival("torch", lambda: run(F.scaled_dot_product_attention), None),
        Rival("torch, math path", lambda: run(_math), None),
    )
    work = f"attention {batch}x{heads}x{length}x{size}, forward + backward"
    yield Case(work, "normal", lambda: run(MF.scaled_dot_product_attention), rivals, verify)


def recurrent(context: Context) -> Iterator[Case]:
    """One LSTM layer."""
    steps, batch, size = context.size(64, 4), 32, context.size(256, 16)
    module = torch.nn.LSTM(size, size)
    weights = tuple(p for p in module._flat_weights if isinstance(p, Tensor))
    x, state = context.normal(steps, batch, size).requires_grad_(), torch.zeros(1, batch, size)
    upstream = context.normal(steps, batch, size)
    settings = (True, 1, 0.0, True, False, False)

    def run(x: Tensor = x, state: Tensor = state, grad: Tensor = upstream) -> tuple[Tensor, ...]:
        result = MF.lstm(x, (state, state), weights, *settings)[0]
        return (result, *torch.autograd.grad(result, (x, *weights), grad))

    def theirs() -> tuple[Tensor, ...]:
        result = module(x)[0]
        return (result, *torch.autograd.grad(result, (x, *weights), upstream))

    def verify() -> None:
        few = (x.detach()[:, :CHECKED].requires_grad_(), state[:, :CHECKED], upstream[:, :CHECKED])
        with backend("reference"):
            expected = run(*few)
        for index, (actual, correct) in enumerate(zip(run(*few), expected, strict=True)):
            require_same_bits(f"LSTM, result {index}", actual, correct)

    work = f"LSTM {steps}x{batch}x{size}, forward + backward"
    yield Case(work, "normal", run, (Rival("torch", theirs, None),), verify)
