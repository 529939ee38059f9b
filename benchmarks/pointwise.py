"""Elementwise products, row operations, the optimizer, and the overhead of a call, beside torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

import mulfree.functional as MF
from benchmarks.harness import Case, Context, Rival, require_close, require_same_bits
from benchmarks.matmul import WORST_PRODUCT
from mulfree.backends.select import backend
from mulfree.optim import SGD, Adam, AdamW

SAMPLE = 100_000
"""Entries of an elementwise result that are checked."""
OVERHEAD_TARGET = 0.25
"""A call on 16 elements may take four times as long as torch's."""


def elementwise(context: Context) -> Iterator[Case]:
    """A product of two large tensors."""
    count = context.size(10**7, 10**5)
    a, b = context.normal(count), context.normal(count)

    def verify() -> None:
        chosen = torch.randint(count, (SAMPLE,), generator=context.generator)
        result, left, right = MF.mul(a, b)[chosen], a[chosen], b[chosen]
        with backend("reference"):
            require_same_bits("mul", result, MF.mul(left, right))
        real = torch.mul(left, right)
        limits = torch.finfo(a.dtype)
        require_close("mul beside torch.mul", result, real, real.abs() * (WORST_PRODUCT + limits.eps) + limits.tiny)

    rival = Rival("torch", lambda: torch.mul(a, b), 1.0)
    yield Case(f"mul, {count} elements", "normal", lambda: MF.mul(a, b), (rival,), verify)


def _round_trip(
    work: str, ours: Callable[..., Tensor], theirs: Callable[..., Tensor], operands: tuple[Tensor, ...]
) -> Case:
    """Forward and backward of an operation of rows; gradients by the operands that require them."""
    wanted = tuple(operand for operand in operands if operand.requires_grad)
    with torch.no_grad():
        upstream = torch.randn_like(theirs(*operands))

    def run(operation: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        result = operation(*operands)
        return (result, *torch.autograd.grad(result, wanted, upstream))

    def verify() -> None:
        results = run(ours)
        with backend("reference"):
            expected = run(ours)
        for index, (actual, correct) in enumerate(zip(results, expected, strict=True)):
            require_same_bits(f"{work}, {'result' if index == 0 else f'gradient {index}'}", actual, correct)

    return Case(work, "normal", lambda: run(ours), (Rival("torch", lambda: run(theirs), 1.0),), verify)


def rows(context: Context) -> Iterator[Case]:
    """Softmax, layer norm and cross-entropy, forward and backward."""
    count, width, classes = context.size(4096, 64), 512, context.size(1000, 100)
    x = context.normal(count, width).requires_grad_()
    size = f"{count}x{width}, forward + backward"
    yield _round_trip(f"softmax {size}", lambda x: MF.softmax(x, dim=-1), lambda x: torch.softmax(x, dim=-1), (x,))
    weight, bias = context.normal(width).requires_grad_(), context.normal(width).requires_grad_()
    yield _round_trip(
        f"layer_norm {size}",
        lambda x, weight, bias: MF.layer_norm(x, (width,), weight, bias),
        lambda x, weight, bias: F.layer_norm(x, (width,), weight, bias),
        (x, weight, bias),
    )
    logits = context.normal(count, classes).requires_grad_()
    labels = torch.randint(classes, (count,), generator=context.generator)
    yield _round_trip(
        f"cross_entropy {count}x{classes}, label smoothing 0.1, forward + backward",
        lambda x, labels: MF.cross_entropy(x, labels, label_smoothing=0.1),
        lambda x, labels: F.cross_entropy(x, labels, label_smoothing=0.1),
        (logits, labels),
    )


def channels(context: Context) -> Iterator[Case]:
    """Batch norm, forward and backward, by input, weight and bias."""
    batch = context.size(128, 2)
    x = context.normal(batch, 64, 32, 32).requires_grad_()
    weight, bias = context.normal(64).requires_grad_(), context.normal(64).requires_grad_()
    yield _round_trip(
        f"batch_norm {batch}x64x32x32, forward + backward",
        lambda x, weight, bias: MF.batch_norm(x, None, None, weight, bias, training=True),
        lambda x, weight, bias: F.batch_norm(x, None, None, weight, bias, training=True),
        (x, weight, bias),
    )


def activations(context: Context) -> Iterator[Case]:
    """Activation functions, forward and backward."""
    count = context.size(10**6, 10**4)
    for name in ("gelu", "sigmoid", "silu", "tanh"):
        theirs = getattr(torch, name, None) or getattr(F, name)
        x = context.normal(count).requires_grad_()
        yield _round_trip(f"{name} {count}, forward + backward", getattr(MF, name), theirs, (x,))


_OPTIMIZERS: tuple[tuple[str, type[torch.optim.Optimizer], type[torch.optim.Optimizer], dict[str, float]], ...] = (
    ("AdamW", AdamW, torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.01}),
    ("Adam", Adam, torch.optim.Adam, {"lr": 1e-3, "weight_decay": 0.01}),
    ("SGD with momentum", SGD, torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}),
)


def optimizer(context: Context) -> Iterator[Case]:
    """One step on one large parameter, beside torch's fused step."""
    count = context.size(10**7, 10**5)
    start, grad = context.normal(count), context.normal(count)
    for name, ours, theirs, options in _OPTIMIZERS:
        yield _step(context, name, ours, theirs, options, start, grad)


def _step(
    context: Context,
    name: str,
    ours: Callable[..., torch.optim.Optimizer],
    theirs: Callable[..., torch.optim.Optimizer],
    options: dict[str, float],
    start: Tensor,
    grad: Tensor,
) -> Case:
    def parameter(values: Tensor, gradient: Tensor) -> torch.nn.Parameter:
        result = torch.nn.Parameter(values.clone())
        result.grad = gradient.clone()
        return result

    count = start.numel()
    mine, other = parameter(start, grad), parameter(start, grad)
    stepping, rival = ours([mine], **options), theirs([other], **options, fused=True)

    def verify() -> None:
        chosen = torch.randint(count, (SAMPLE,), generator=context.generator)
        sample = parameter(start[chosen], grad[chosen])
        stepping.step()
        stepping.step()
        with backend("reference"):
            expected = ours([sample], **options)
            expected.step()
            expected.step()
        require_same_bits(name, mine.detach()[chosen], sample.detach())

    work = f"{name} step, {count} parameters"
    return Case(work, "normal", stepping.step, (Rival("torch, fused", rival.step, 1.0),), verify)


def overhead(context: Context) -> Iterator[Case]:
    """Calls on 16 elements: what validation and dispatch cost."""
    a, b, vector = context.normal(4, 4), context.normal(4, 4), context.normal(4)
    labels = torch.randint(4, (4,), generator=context.generator)
    calls: tuple[tuple[str, Callable[[], Tensor], Callable[[], Tensor]], ...] = (
        ("mul", lambda: MF.mul(a, b), lambda: torch.mul(a, b)),
        ("matmul", lambda: MF.matmul(a, b), lambda: torch.matmul(a, b)),
        ("linear", lambda: MF.linear(a, b, vector), lambda: F.linear(a, b, vector)),
        ("softmax", lambda: MF.softmax(a, dim=-1), lambda: torch.softmax(a, dim=-1)),
        (
            "layer_norm",
            lambda: MF.layer_norm(a, (4,), vector, vector),
            lambda: F.layer_norm(a, (4,), vector, vector),
        ),
        ("cross_entropy", lambda: MF.cross_entropy(a, labels), lambda: F.cross_entropy(a, labels)),
    )
    for name, ours, theirs in calls:

        def verify(name: str = name, ours: Callable[[], Tensor] = ours) -> None:
            result = ours()
            with backend("reference"):
                require_same_bits(name, result, ours())

        yield Case(f"{name}, 16 elements", "normal", ours, (Rival("torch", theirs, OVERHEAD_TARGET),), verify)
