"""Calls of every method of the backend with kernels, small but over several blocks, as data for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.contract import AdamScalars, Backend, LionScalars, RMSpropScalars, SGDScalars
from mulfree.numerics import random, scalar
from mulfree.numerics.convolution import Window
from tests.backends import patterns
from tests.backends.convolutions import positions
from tests.backends.operations import OFFSETS, OPERATIONS

OFFSET = OFFSETS[0]


@dataclass(frozen=True)
class Case:
    """``run`` makes its operands anew, so that a method may change them, and returns all that it computes."""

    group: str
    name: str
    run: Callable[[Any], list[Tensor]]
    slow: bool = False

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


def _gradients(count: int, seed: int) -> Tensor:
    """With products too small for a normal number, and no infinity: the clamped way."""
    return torch.where(torch.arange(count) % 7 == 0, 1e-30, 1.0) * patterns.gradient_like(count, seed)


DATA: dict[str, Callable[[int, int], Tensor]] = {
    "normal": patterns.normal,
    "activations": patterns.relu_like,
    "gradients": _gradients,
    "specials": lambda count, seed: patterns.sprinkled(patterns.normal(count, seed), seed, 0.01),
    "zeros": lambda count, seed: torch.zeros(count),
}


def _tensor(data: str, *shape: int, seed: int = 0) -> Tensor:
    count = torch.Size(shape).numel()
    return DATA[data](count, 17 * seed + count).view(shape)


def _transposed(data: str, *shape: int, seed: int = 0) -> Tensor:
    *batch, rows, columns = shape
    return _tensor(data, *batch, columns, rows, seed=seed).mT


# A shape for each kind of tiles on 2 multiprocessors, large ones first; the last one's rows are its columns.
SHAPES = (
    (100, 5, 200), (100, 5, 100), (200, 5, 40), (100, 9, 130), (20, 5, 390), (65, 9, 130), (20, 17, 9), (9, 300, 130),
    (2, 260, 300), (70, 33, 1),
)  # fmt: skip
SPLIT = (9, 600, 100)


def _products() -> Iterator[Case]:
    def matmul(
        shape: tuple[int, int, int], data: str = "normal", bias: bool = False, left: Any = _tensor,
        right: Any = _tensor, dtype: torch.dtype = torch.float32, **options: int,
    ) -> Callable[[Any], list[Tensor]]:  # fmt: skip
        m, k, n = shape

        def run(backend: Backend) -> list[Tensor]:
            a, b = left(data, m, k, seed=1).to(dtype), right(data, k, n, seed=2).to(dtype)
            return [backend.matmul(a, b, _tensor(data, n) if bias else None, **options)]

        return run

    def batched(backend: Backend) -> list[Tensor]:
        a, b = _tensor("normal", 2, 1, 3, 6, 600), _tensor("normal", 4, 1, 600, 5)
        return [backend.matmul(a, b, _tensor("normal", 5))]

    for shape in SHAPES:
        yield Case("products", "x".join(map(str, shape)), matmul(shape, bias=True))
    for data in DATA:
        yield Case("products", f"split, {data}", matmul(SPLIT, data, bias=True, offset=OFFSET))
    for bits, offset in ((7, 0), (3, OFFSETS[1])):
        yield Case("products", f"{bits} bits, {offset}", matmul((20, 40, 150), mantissa_bits=bits, offset=offset))
    for dtype in (torch.float16, torch.bfloat16):
        yield Case("products", str(dtype), matmul((66, 20, 70), dtype=dtype), slow=dtype is torch.float16)
    for left, right in ((_transposed, _tensor), (_tensor, _transposed), (_transposed, _transposed)):
        run = matmul((66, 20, 70), "gradients", left=left, right=right)
        yield Case("products", f"{left.__name__} left, {right.__name__} right", run, slow=right is _transposed)
    yield Case("products", "batches", batched)
    for data, shape in product(DATA, SHAPES):
        yield Case("products", f"{'x'.join(map(str, shape))}, {data}", matmul(shape, data, True), slow=True)


def _slopes() -> Iterator[Case]:
    def grad(shape: tuple[int, int, int], data: str = "normal", **options: int) -> Callable[[Any], list[Tensor]]:
        m, k, n = shape

        def run(backend: Backend) -> list[Tensor]:
            p, q, g = _tensor(data, m, k), _tensor(data, k, n, seed=1), _tensor("normal", m, n, seed=2)
            return [
                backend.matmul_grad(p, q, g, **options),
                backend.matmul_grad(q.mT, p.mT, g.mT, **options).mT.contiguous(),
            ]

        return run

    for shape in ((100, 40, 5), (35, 40, 17), (9, 130, 5), (5, 390, 5), (9, 130, 270), (2, 130, 5)):
        yield Case("slopes", "x".join(map(str, shape)), grad(shape))
        for data in DATA:
            yield Case("slopes", f"{'x'.join(map(str, shape))}, {data}", grad(shape, data, offset=OFFSET), slow=True)
    yield Case("slopes", "specials, split", grad((7, 30, 600), "specials", mantissa_bits=10))


WINDOWS: dict[str, tuple[Window, tuple[int, ...], tuple[int, ...]]] = {
    "1D": (Window((2,), (1,), (3,), 1), (11,), (3,)),
    "2D": (Window((1, 2), (1, 0), (1, 1), 4), (9, 12), (3, 2)),
    "3D": (Window((1, 1, 2), (0, 1, 1), (1, 2, 1), 1), (3, 5, 6), (2, 2, 3)),
}


def _patches() -> Iterator[Case]:
    def convolve(
        kind: str, slopes: bool, images: int = 3, channels: int = 8, data: str = "normal"
    ) -> Callable[[Any], list[Tensor]]:
        window, size, kernel = WINDOWS[kind]
        outs, groups = 2 * channels, window.groups

        def run(backend: Backend) -> list[Tensor]:
            out = positions(window, size, kernel)
            x, y = _tensor(data, images, channels, *size), _tensor(data, images, outs, *out, seed=1)
            weight = _tensor("normal", outs, channels // groups, *kernel, seed=2)
            bias = None if slopes else _tensor("normal", outs, seed=3)
            slope, point = (x.clone(), y.clone()) if slopes else (None, None)
            at = weight.clone() if slopes else None
            return [
                backend.convolve(x, weight, bias, window, out, point, 23, OFFSET),
                backend.convolve_transposed(y, weight, None, window, size, slope),
                backend.convolve_weight(y, x, window, kernel, at),
                *([backend.convolve_weight(y, x, window, kernel, at, False, 12)] if slopes else []),
            ]

        return run

    yield Case("patches", "2D", convolve("2D", False))
    yield Case("patches", "1D, specials", convolve("1D", False, channels=4, data="specials"))
    yield Case("patches", "2D, slopes", convolve("2D", True, channels=4))
    yield Case("patches", "1D, a split depth", convolve("1D", False, images=100, channels=2))
    for kind, slopes, data in product(WINDOWS, (False, True), DATA):
        name = f"{kind}, {data}{', slopes' if slopes else ''}"
        yield Case("patches", name, convolve(kind, slopes, channels=34, data=data), slow=True)


def _elementwise() -> Iterator[Case]:
    def run(operation: Any) -> Callable[[Any], list[Tensor]]:
        def of_all_kinds(backend: Backend) -> list[Tensor]:
            count = operation.operands
            flat = [patterns.mixed(5003, 3 + i) for i in range(count)]
            long = [patterns.mixed(40_001, 3 + i) for i in range(count)]
            views = [patterns.mixed(330, 3 + i).view(30, 11).mT[i : i + 8, 2 * i : 2 * i + 19] for i in range(count)]
            views[0] = views[0][:1].expand(8, 19)
            return [operation.run(backend, *operands) for operands in (flat, long, views)]

        return of_all_kinds

    for operation in OPERATIONS:
        quick = operation.name in ("mul", "mul_grad[0]", "gelu", "div_grad_denominator[exact]")
        yield Case("elementwise", operation.name, run(operation), slow=not quick)


def _rows() -> Iterator[Case]:
    def run(rows: int, n: int, data: str, exact: bool) -> Callable[[Any], list[Tensor]]:
        def of_all_kinds(backend: Backend) -> list[Tensor]:
            x, grad, weight = _tensor(data, rows, n), _tensor("gradients", rows, n, seed=1), _tensor(data, n, seed=2)
            found: list[Tensor] = []
            for name in ("softmax", "log_softmax", "logsumexp"):
                result, stats = getattr(backend, name)(x)
                backward = grad[:, 0].contiguous() if name == "logsumexp" else grad
                found += [result, stats, getattr(backend, f"{name}_grad")(backward, x, stats, exact)]
            target = torch.arange(rows) % (n + 1) - 1
            for smoothing in (0.0, 0.1):
                loss, stats = backend.cross_entropy(x, target, -1, smoothing)
                grads = backend.cross_entropy_grad(grad[:, 0].contiguous(), x, target, stats, -1, smoothing, exact)
                found += [loss, stats, grads]
            for scale, bias in ((weight, weight), (None, None)):
                normal, stats = backend.layer_norm(x, scale, bias, 1e-5)
                found += [normal, stats, *backend.layer_norm_grad(grad, x, scale, stats, exact)]
            return [*found, torch.tensor(backend.count_targets(target, n, -1))]

        return of_all_kinds

    quick = {(7, 33, "normal", True), (1030, 2, "specials", False), (3, 1100, "activations", True)}
    for rows, n, data, exact in product((1, 9), (1, 33, 300, 1000, 1100, 2100), DATA, (True, False)):
        if (rows, n, data, exact) not in quick:
            name = f"{rows}x{n}, {data}, {'exact' if exact else 'approximate'}"
            yield Case("rows", name, run(rows, n, data, exact), slow=True)
    for case in sorted(quick):
        yield Case("rows", f"{case[0]}x{case[1]}, {case[2]}", run(*case))


def _sums() -> Iterator[Case]:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((5, 37), (1,)), ((700, 3), (1,)), ((40, 33), (0,)), ((31, 40), (0,)), ((2, 2100, 3), (1,)), ((3, 2100), (1,)),
        ((3000, 40), (0,)), ((40, 1200), (0,)), ((2, 3, 4, 5, 6), (1, 3)), ((70_000,), (0,)),
    ]  # fmt: skip

    def run(shape: tuple[int, ...], dims: tuple[int, ...], data: str) -> Callable[[Any], list[Tensor]]:
        return lambda backend: [backend.sum(_tensor(data, *shape), dims)]

    for shape, dims in shapes:
        name = f"{'x'.join(map(str, shape))} over {dims}"
        yield Case("sums", name, run(shape, dims, "normal"))
        yield Case("sums", f"{name}, specials", run(shape, dims, "specials"), slow=True)
    many = torch.arange(9_000) % 11
    yield Case("sums", "targets", lambda backend: [torch.tensor(backend.count_targets(many, 10, 10))])


def _channels() -> Iterator[Case]:
    def run(shape: tuple[int, int, int], data: str, exact: bool, affine: bool) -> Callable[[Any], list[Tensor]]:
        def forward_and_backward(backend: Backend) -> list[Tensor]:
            x, grad = _tensor(data, *shape), _tensor(data, *shape, seed=1)
            weight = _tensor("normal", shape[1]) if affine else None
            out, stats = backend.batch_norm(x, weight, weight, 1e-5)
            return [out, stats, *backend.batch_norm_grad(grad, x, weight, stats, exact)]

        return forward_and_backward

    shapes = ((3, 5, 7), (40, 37, 1), (2, 3, 1300), (1100, 40, 1), (70, 1, 40))
    for shape, exact in zip(shapes, (True, False, True, False, True), strict=True):
        yield Case("channels", "x".join(map(str, shape)), run(shape, "normal", exact, exact))
        for data in DATA:
            name = f"{'x'.join(map(str, shape))}, {data}"
            yield Case("channels", name, run(shape, data, not exact, True), slow=True)


def _optimizers() -> Iterator[Case]:
    def words(kind: Any, **settings: float) -> Any:
        return kind(**{name: v if isinstance(v, bool) else scalar.bits(v) for name, v in settings.items()})

    adam = words(
        AdamScalars, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.1, correction1=0.1, correction2=1e-3,
        weight_decay=0.01,
    )  # fmt: skip
    rmsprop = words(RMSpropScalars, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.1, momentum=0.9)
    lion = words(LionScalars, lr=1e-4, beta1=0.9, beta2=0.99, decay=1e-6)
    sgd = {
        nesterov: words(SGDScalars, lr=0.1, momentum=0.9, rest=1, weight_decay=1e-4, nesterov=nesterov)
        for nesterov in (False, True)
    }

    def run(count: int, step: Callable[..., None]) -> Callable[[Any], list[Tensor]]:
        def on_both(backend: Backend) -> list[Tensor]:
            found = []
            for n, start in ((5003, 0), (70, 1)):  # the second at addresses that are no multiples of 16 bytes
                state = [patterns.gradient_like(n + start, 5 + i)[start:].abs() for i in range(count)]
                if start:
                    state = [torch.cat([x.new_zeros(1), x])[1:] for x in state]
                step(backend, *state)
                found += state
            return found

        return on_both

    steps: list[tuple[str, int, Callable[..., None]]] = [
        ("adam with its maximum", 5, lambda b, *x: b.adam_(*x, adam)),
        ("adam", 4, lambda b, *x: b.adam_(*x, None, adam)),
        ("adamw", 4, lambda b, *x: b.adamw_(*x, adam)),
        ("sgd", 2, lambda b, *x: b.sgd_(*x, None, sgd[False])),
        ("sgd with momentum", 3, lambda b, *x: b.sgd_(*x, sgd[False])),
        ("nesterov", 3, lambda b, *x: b.sgd_(*x, sgd[True])),
        ("rmsprop", 3, lambda b, *x: b.rmsprop_(*x, None, None, rmsprop)),
        ("rmsprop, centred", 4, lambda b, *x: b.rmsprop_(*x, None, rmsprop)),
        ("rmsprop with momentum", 4, lambda b, *x: b.rmsprop_(*x[:3], None, x[3], rmsprop)),
        ("rmsprop with averages", 5, lambda b, *x: b.rmsprop_(*x, rmsprop)),
        ("lion", 3, lambda b, *x: b.lion_(*x, lion)),
        ("average", 2, lambda b, *x: b.moving_average_(*x, scalar.bits(0.1))),
    ]
    for name, count, step in steps:
        yield Case("optimizers", name, run(count, step), slow=name not in ("adamw", "average"))


def _dropout() -> Iterator[Case]:
    def run(n: int, start: int, first: int) -> Callable[[Any], list[Tensor]]:
        threshold, scale, seed = random.dropout_threshold(0.3), scalar.bits(1.25), torch.tensor([-5])
        return lambda b: [b.dropout(patterns.normal(n + start, 3)[start:], seed, threshold, scale, first)]

    for n, start, first in ((1, 0, 0), (5003, 0, 64), (300, 1, 7), (300, 0, 12), (40_000, 0, 4)):
        yield Case("dropout", f"{n} from {first}", run(n, start, first))


CASES = [
    case
    for cases in (_products, _slopes, _patches, _elementwise, _rows, _sums, _channels, _optimizers, _dropout)
    for case in cases()
]
