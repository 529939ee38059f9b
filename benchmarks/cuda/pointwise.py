"""What memory bounds: elementwise operations, rows, channels and the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.cuda.work import FLOAT_BYTES, Ours, Tensors, Work, rows_of, size_of
from benchmarks.harness import Context
from mulfree.backends.contract import AdamWScalars, Backend
from mulfree.numerics.scalar import bits

CHECKED = 1 << 20
"""Elements of an elementwise result that are compared with the law."""
EPS = 1e-5
SMOOTHING = 0.1
IGNORED = -100
ADAMW = AdamWScalars(*map(bits, (1e-3, 0.9, 0.999, 1e-8, 1 - 1e-5, 0.1, 1e-3)))


def elementwise(context: Context) -> Iterator[Work]:
    """Contiguous operands that no cache holds."""
    count = context.size(1 << 26, 1000)
    a, b = context.normal(count), context.normal(count)
    chosen = rows_of(count, CHECKED)

    def work(name: str, operands: Tensors, ours: Callable[..., Tensor], theirs: Callable[..., object]) -> Work:
        return Work(
            group="elementwise",
            name=f"{name}, {count} elements",
            data="normal",
            operands=operands,
            ours=lambda backend, t: lambda: (ours(backend, *t),),
            theirs=lambda t: lambda: theirs(*t),
            bytes=size_of(operands) + count * FLOAT_BYTES,
            part=lambda t: tuple(x[chosen] for x in t),
            pick=lambda t: tuple(x[chosen.to(x.device)] for x in t),
        )

    yield work("mul", (a, b), lambda backend, *t: backend.mul(*t), torch.mul)
    yield work("exp2", (a,), lambda backend, x: backend.unary("exp2", x), torch.exp2)
    yield work("gelu", (a,), lambda backend, x: backend.unary("gelu", x), F.gelu)
    yield work(
        "gelu, approximate derivative",
        (a, b),
        lambda backend, grad, x: backend.unary_grad("gelu", grad, x, False),
        torch.ops.aten.gelu_backward,
    )


def _forward(function: Callable[..., Tensors]) -> Callable[[Backend, Tensors], Ours]:
    """The result without the stats."""
    return lambda backend, operands: lambda: function(backend, *operands)[:1]


def _gradients(function: Callable[..., Tensor], of: int) -> Callable[[Tensors], Callable[[], object]]:
    """Torch's gradients by the first ``of`` operands after the incoming gradient."""

    def prepare(operands: Tensors) -> Callable[[], object]:
        grad, *rest = operands
        leaves = [x.detach().requires_grad_(index < of) for index, x in enumerate(rest)]
        result = function(*leaves)
        return lambda: torch.autograd.grad(result, leaves[:of], grad, retain_graph=True)

    return prepare


def rows(context: Context) -> Iterator[Work]:
    """The rows of attention, of a language model's classes and of a Transformer's width."""
    count = context.size(4096, 6)
    yield from _softmax(context, count, context.size(1024, 50))
    yield from _cross_entropy(context, count, context.size(10000, 70))
    yield from _layer_norm(context, count, context.size(512, 40))


def _softmax(context: Context, count: int, n: int) -> Iterator[Work]:
    x, grad = context.normal(count, n), context.normal(count, n)

    def ours(backend: Backend, operands: Tensors) -> Ours:
        grad, x = operands
        _, stats = backend.softmax(x)
        return lambda: (backend.softmax_grad(grad, x, stats, False),)

    def softmax(x: Tensor) -> Tensor:
        return torch.softmax(x, -1)

    name = f"softmax {count}x{n}"
    forward = _forward(lambda backend, x: backend.softmax(x))
    yield Work("rows", name, "normal", (x,), forward, lambda t: lambda: softmax(*t), bytes=2 * size_of((x,)))
    yield Work(
        "rows",
        f"{name}, approximate derivative",
        "normal",
        (grad, x),
        ours,
        _gradients(softmax, 1),
        bytes=3 * size_of((x,)),
    )


def _cross_entropy(context: Context, count: int, n: int) -> Iterator[Work]:
    x, grad = context.normal(count, n), context.normal(count)
    target = torch.randint(n, (count,), generator=context.generator)

    def ours(backend: Backend, operands: Tensors) -> Ours:
        grad, x, target = operands
        _, stats = backend.cross_entropy(x, target, IGNORED, SMOOTHING)
        return lambda: (backend.cross_entropy_grad(grad, x, target, stats, IGNORED, SMOOTHING, True),)

    def loss(x: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(x, target, reduction="none", label_smoothing=SMOOTHING)

    name = f"cross_entropy {count}x{n}, label smoothing {SMOOTHING}"
    forward = _forward(lambda backend, x, target: backend.cross_entropy(x, target, IGNORED, SMOOTHING))
    yield Work("rows", name, "normal", (x, target), forward, lambda t: lambda: loss(*t), bytes=size_of((x,)))
    yield Work(
        "rows",
        f"{name}, exact derivative",
        "normal",
        (grad, x, target),
        ours,
        _gradients(loss, 1),
        bytes=2 * size_of((x,)),
    )


def _layer_norm(context: Context, count: int, n: int) -> Iterator[Work]:
    x, grad, weight, bias = context.normal(count, n), context.normal(count, n), context.normal(n), context.normal(n)

    def ours(backend: Backend, operands: Tensors) -> Ours:
        grad, x, weight, bias = operands
        _, stats = backend.layer_norm(x, weight, bias, EPS)
        return lambda: backend.layer_norm_grad(grad, x, weight, stats, False)

    def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(x, (n,), weight, bias, EPS)

    name, operands = f"layer_norm {count}x{n}", (x, weight, bias)
    forward = _forward(lambda backend, *t: backend.layer_norm(*t, EPS))
    yield Work("rows", name, "normal", operands, forward, lambda t: lambda: norm(*t), bytes=2 * size_of((x,)))
    yield Work(
        "rows",
        f"{name}, approximate derivative",
        "normal",
        (grad, *operands),
        ours,
        _gradients(norm, 3),
        bytes=3 * size_of((x,)),
    )


def channels(context: Context) -> Iterator[Work]:
    """Batch norm."""
    batch, count, positions = context.size(128, 3), context.size(64, 5), context.size(1024, 20)
    x, grad = context.normal(batch, count, positions), context.normal(batch, count, positions)
    weight, bias = context.normal(count), context.normal(count)

    def ours(backend: Backend, operands: Tensors) -> Ours:
        grad, x, weight, bias = operands
        _, stats = backend.batch_norm(x, weight, bias, EPS)
        return lambda: backend.batch_norm_grad(grad, x, weight, stats, False)

    def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, weight, bias, training=True, eps=EPS)

    name, operands = f"batch_norm {batch}x{count}x{positions}", (x, weight, bias)
    forward = _forward(lambda backend, *t: backend.batch_norm(*t, EPS))
    yield Work("channels", name, "normal", operands, forward, lambda t: lambda: norm(*t), bytes=2 * size_of((x,)))
    yield Work(
        "channels", f"{name}, approximate derivative", "normal", (grad, *operands), ours, _gradients(norm, 3),
        bytes=3 * size_of((x,)),
    )  # fmt: skip


def optimizer(context: Context) -> Iterator[Work]:
    """Steps of AdamW: parameter, gradient and two averages are read, all but the gradient are written."""
    count = context.size(1 << 24, 1000)
    operands = (*(context.normal(count) for _ in range(3)), context.normal(count).square())
    chosen = rows_of(count, CHECKED)

    def ours(backend: Backend, operands: Tensors) -> Ours:
        param, grad, average, square = (x.clone() for x in operands)

        def step() -> Tensors:
            backend.adamw_(param, grad, average, square, ADAMW)
            return param, average, square

        return step

    def theirs(operands: Tensors) -> Callable[[], object]:
        param = torch.nn.Parameter(operands[0].clone())
        param.grad = operands[1].clone()
        return torch.optim.AdamW([param], fused=True).step

    yield Work(
        group="optimizer",
        name=f"AdamW step, {count} parameters",
        data="normal",
        operands=operands,
        ours=ours,
        theirs=theirs,
        rival="torch, fused",
        bytes=7 * count * FLOAT_BYTES,
        part=lambda t: tuple(x[chosen] for x in t),
        pick=lambda t: tuple(x[chosen.to(x.device)] for x in t),
    )
