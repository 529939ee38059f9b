"""Functions on a CUDA device: the bits of the processor, gradients included, and again from a captured graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

import mulfree.functional as MF
from tests.cuda.device import needs_device
from tests.ops.support import same_bits

pytestmark = [pytest.mark.cuda, needs_device]

Function = Callable[..., Tensor]


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


IMAGE, LINES, SQUARE = _normal(2, 3, 9, 7), _normal(4, 6), _normal(5, 5)


@cache
def _classes(device: torch.device) -> Tensor:
    return torch.tensor([1, 0, 5, 2], device=device)


def classes(like: Tensor) -> Tensor:
    """On the device of ``like``; a graph cannot send them there."""
    return _classes(like.device)


CASES: dict[str, tuple[Function, tuple[Tensor, ...]]] = {
    "mul": (MF.mul, (LINES, LINES[0])),
    "div": (MF.div, (LINES, LINES[:, :1])),
    "mul by a number": (lambda x: MF.mul(x, 0.3), (LINES,)),
    "pow": (lambda x: MF.pow(x.abs(), 1.7), (LINES,)),
    "prod": (lambda x: MF.prod(x, 1), (LINES,)),
    "var": (lambda x: MF.var(x, 1), (LINES,)),
    "linear": (MF.linear, (LINES, _normal(3, 6), _normal(3))),
    "linear, exact": (lambda x, w: MF.linear(x, w, derivative="exact"), (LINES, _normal(3, 6))),
    "linear, narrow": (lambda x, w: MF.linear(x, w, mantissa_bits=4), (LINES, _normal(3, 6))),
    "matmul of a batch": (MF.matmul, (_normal(3, 4, 5), _normal(3, 5, 2))),
    "conv2d": (lambda x, w: MF.conv2d(x, w, padding=1, stride=2), (IMAGE, _normal(4, 3, 3, 3))),
    "conv_transpose2d": (lambda x, w: MF.conv_transpose2d(x, w, stride=2), (IMAGE, _normal(3, 4, 2, 2))),
    "attention": (
        lambda q, k, v: MF.scaled_dot_product_attention(q, k, v, is_causal=True),
        (_normal(1, 2, 5, 4), _normal(2, 2, 5, 4)[:1], _normal(3, 2, 5, 4)[:1]),
    ),
    "attention with rows that are all masked": (
        lambda q: MF.scaled_dot_product_attention(q, q, q, attn_mask=torch.ones(5, 5, device=q.device).triu(1) > 0),
        (_normal(1, 2, 5, 4),),
    ),
    "softmax": (lambda x: MF.softmax(x, -1), (LINES,)),
    "softmax of columns": (lambda x: MF.softmax(x, 0), (LINES,)),
    "cross_entropy": (lambda x: MF.cross_entropy(x, classes(x), label_smoothing=0.1), (LINES,)),
    "nll_loss": (lambda x: MF.nll_loss(x, classes(x)), (LINES,)),
    "binary_cross_entropy": (
        lambda x: MF.binary_cross_entropy(x.abs().clamp(max=1.0), x.detach().sign().abs()),
        (LINES,),
    ),
    "gaussian_nll_loss": (lambda x, v: MF.gaussian_nll_loss(x, x.detach() + 1, v.abs()), (LINES, _normal(4, 6))),
    "l1_loss": (MF.l1_loss, (LINES, _normal(4, 6) + 1)),
    "layer_norm": (lambda x: MF.layer_norm(x, (6,)), (LINES,)),
    "batch_norm": (lambda x: MF.batch_norm(x, None, None, training=True), (IMAGE,)),
    "group_norm": (lambda x: MF.group_norm(x, 3), (IMAGE,)),
    "gelu": (MF.gelu, (LINES,)),
    "silu": (MF.silu, (LINES,)),
    "avg_pool2d": (lambda x: MF.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), (IMAGE,)),
    "adaptive_avg_pool2d": (lambda x: MF.adaptive_avg_pool2d(x, (4, 3)), (IMAGE,)),
    "lp_pool2d": (lambda x: MF.lp_pool2d(x, 2, 3), (IMAGE,)),
    "interpolate, bilinear": (lambda x: MF.interpolate(x, (5, 11), mode="bilinear"), (IMAGE,)),
    "interpolate, nearest": (lambda x: MF.interpolate(x, (5, 11), mode="nearest"), (IMAGE,)),
    "embedding": (lambda w: MF.embedding(classes(w), w), (_normal(6, 3),)),
    "embedding_bag": (lambda w: MF.embedding_bag(classes(w)[None], w, mode="mean"), (_normal(6, 3),)),
    "einsum": (lambda a, b: MF.einsum("ij,jk->ki", a, b), (LINES, LINES.T.contiguous())),
    "norm": (lambda x: MF.normalize(x, dim=1), (LINES,)),
}


def _results(function: Function, operands: tuple[Tensor, ...]) -> list[Tensor]:
    """The value and its gradients."""
    inputs = [x.detach().requires_grad_() for x in operands]
    value = function(*inputs)
    return [value.detach(), *torch.autograd.grad(value, inputs, torch.ones_like(value))]


def _moved(operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.cuda() for x in operands)


every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_bits_of_the_processor(name: str) -> None:
    function, operands = CASES[name]
    for here, there in zip(_results(function, operands), _results(function, _moved(operands)), strict=True):
        assert there.device.type == "cuda"
        assert same_bits(here, there.cpu())


@every_case
def test_captured(name: str) -> None:
    function, operands = CASES[name][0], _moved(CASES[name][1])
    for _ in range(2):
        _results(function, operands)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = _results(function, operands)
    for x in operands:
        x.copy_(x.flip(0) + 0.5)
    graph.replay()
    torch.cuda.synchronize()
    for captured, now in zip(found, _results(function, operands), strict=True):
        assert same_bits(captured.cpu(), now.cpu())
