"""Matrix products and their exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.cuda.work import Ours, Tensors, Work, rows_of
from benchmarks.harness import Context
from benchmarks.matmul import GRADIENTS, KINDS, TRAINING
from mulfree.backends.contract import Backend

CHECKED = 48
"""Rows of a result, of each product of a batch, that are compared with the law."""

SQUARES = (1024, 2048, 4096)
BATCHES = ((512, 64, 64, 64), (96, 197, 64, 197))
LAYERS = ((4096, 512, 2048), (4096, 2048, 512))
SLOPE_INSTRUCTIONS = 4  # two integer additions, one logical operation, one float addition


def _matmul(backend: Backend, operands: Tensors) -> Ours:
    a, b = operands
    return lambda: (backend.matmul(a, b),)


def _torch_matmul(operands: Tensors) -> Callable[[], Tensor]:
    a, b = operands
    return lambda: torch.matmul(a, b)


def _some(x: Tensor) -> Tensor:
    return x[..., rows_of(x.shape[-2], CHECKED), :]


def _product(name: str, data: str, a: Tensor, b: Tensor) -> Work:
    *batch, m, k = a.shape
    return Work(
        group="products",
        name=name,
        data=data,
        operands=(a, b),
        ours=_matmul,
        theirs=_torch_matmul,
        rival="torch" if a.dtype is torch.float32 else f"torch, {str(a.dtype).removeprefix('torch.')}",
        products=torch.Size(batch).numel() * m * k * b.shape[-1],
        part=lambda operands: (_some(operands[0]), operands[1]),
        pick=lambda results: (_some(results[0]),),
    )


def _sizes(context: Context, *full: int) -> tuple[int, ...]:
    return tuple(context.size(size, max(size // 64, 16)) for size in full)


def products(context: Context) -> Iterator[Work]:
    """Squares on normal and training-like data, one size on every kind of data, in every layout and in narrow formats;
    layers; batches of the sizes of attention."""
    for full in SQUARES:
        (n,) = _sizes(context, full)
        for kind in KINDS if full == SQUARES[1] else (KINDS[0], TRAINING):
            a, b = kind.make(context, n, n), kind.make(context, n, n)
            yield _product(f"matmul {n}x{n}x{n}", kind.name, a, b)
    (n,) = _sizes(context, SQUARES[1])
    a, b = context.normal(n, n), context.normal(n, n)
    for name, left, right in (("left", a.T, b), ("right", a, b.T), ("both", a.T, b.T)):
        yield _product(f"matmul {n}x{n}x{n}, {name} transposed", "normal", left, right)
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        yield _product(f"matmul {n}x{n}x{n}, {name}", "normal", a.to(dtype), b.to(dtype))
    for shape in LAYERS:
        m, k, n = _sizes(context, *shape)
        yield _product(f"matmul {m}x{k}x{n}", TRAINING.name, TRAINING.make(context, m, k), TRAINING.make(context, k, n))
    for batch, *sides in BATCHES:
        count = context.size(batch, 3)
        m, k, n = (context.size(side, side // 4 + 1) for side in sides)
        a, b = context.normal(count, m, k), context.normal(count, k, n)
        yield _product(f"matmul {count} x {m}x{k}x{n}", "normal", a, b)


def slopes(context: Context) -> Iterator[Work]:
    """The exact derivative by the left operand, beside the product of torch that it stands for."""
    for full in SQUARES[:2]:
        (n,) = _sizes(context, full)
        p, q = context.normal(n, n), context.normal(n, n)
        for kind in (TRAINING, GRADIENTS):
            yield Work(
                group="slopes",
                name=f"exact derivative of matmul {n}x{n}x{n}",
                data=kind.name,
                operands=(p, q, kind.make(context, n, n)),
                ours=_slopes,
                theirs=_torch_gradient,
                products=n**3,
                instructions=SLOPE_INSTRUCTIONS,
                part=lambda operands: (_some(operands[0]), operands[1], _some(operands[2])),
                pick=lambda results: (_some(results[0]),),
            )


def _slopes(backend: Backend, operands: Tensors) -> Ours:
    p, q, grad = operands
    return lambda: (backend.matmul_grad(p, q, grad),)


def _torch_gradient(operands: Tensors) -> Callable[[], Tensor]:
    _, q, grad = operands
    return lambda: torch.matmul(grad, q.T)
