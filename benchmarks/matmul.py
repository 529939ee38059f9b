"""Matrix products beside torch's and NumPy's: forward, backward, batches, and the memory they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

import mulfree.functional as MF
from benchmarks.harness import Case, Context, Rival, WrongResultError, require_close, require_same_bits
from mulfree.backends.select import backend

SQUARES = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048))
LAYERS = ((4096, 512, 512), (4096, 512, 2048), (4096, 2048, 512))
DERIVATIVES: tuple[MF.Derivative, ...] = ("exact", "approximate")
RATE_SIZE = 384
"""Fits whole tiles of every instruction set."""
ROWS_CHECKED = 4
COLUMNS_CHECKED = 16
WORST_PRODUCT = 1 / 9
"""A PAM product is smaller than the real one by at most this share of it (section 2.7)."""


def _normal(context: Context, *shape: int) -> Tensor:
    return context.normal(*shape)


def _half_zeros(context: Context, *shape: int) -> Tensor:
    return context.normal(*shape) * (torch.rand(shape, generator=context.generator) < 0.5)


def _log_uniform(context: Context, *shape: int) -> Tensor:
    """Magnitudes over 2^-70 to 2^70: products leave the range of float32 on both sides."""
    exponents = torch.rand(shape, generator=context.generator) * 140 - 70
    return torch.exp2(exponents) * context.normal(*shape).sign()


def _gradients(context: Context, *shape: int) -> Tensor:
    """A third zeros, the rest log-normal around 2^-20, and a few values near the smallest normal number."""
    values = torch.exp2(context.normal(*shape) * 5 - 20) * context.normal(*shape).sign()
    values[torch.rand(shape, generator=context.generator) < 1 / 3] = 0
    values[torch.rand(shape, generator=context.generator) < 1e-4] = 2.0**-120
    return values


def _training(context: Context, *shape: int) -> Tensor:
    """As in training (``python -m benchmarks.operands``): half zeros, of ReLU or a mask, the rest normal numbers, each
    row with a log-normal factor around 2^-18."""
    scale = torch.exp2(context.normal(*shape[:-1], 1) * 2 - 18)
    return _half_zeros(context, *shape) * scale


@dataclass(frozen=True)
class _Data:
    """A kind of operands and the targets against torch and against the better of torch and NumPy (AVX-512)."""

    name: str
    make: Callable[..., Tensor]
    torch_target: float
    best_target: float | None


TRAINING = _Data("as in training", _training, 1.4, 1.2)
GRADIENTS = _Data("gradient-like", _gradients, 0.7, None)
KINDS = (
    _Data("normal", _normal, 1.4, 1.2),
    _Data("half zeros", _half_zeros, 1.4, 1.2),
    TRAINING,
    _Data("2^-70..2^70", _log_uniform, 0.7, None),
    GRADIENTS,
)


def _scale(context: Context, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    m, k, n = (context.size(size, size // 8) for size in shape)
    return m, k, n


def _some(count: int, of: int) -> Tensor:
    """``count`` indices spread evenly over ``of``, both ends included."""
    return torch.linspace(0, of - 1, min(count, of)).long()


def _verify_product(a: Tensor, b: Tensor, with_numpy: bool) -> None:
    """Some rows and columns of ``a @ b`` against the law, and against the real product within PAM's error."""
    rows, columns = _some(ROWS_CHECKED, a.shape[-2]), _some(COLUMNS_CHECKED, b.shape[-1])
    result = MF.matmul(a, b)[..., rows, :][..., columns]
    left, right = a[..., rows, :], b[..., columns]
    with backend("reference"):
        require_same_bits("matmul", result, MF.matmul(left, right))
    real = torch.matmul(left, right)
    scale = torch.matmul(left.abs(), right.abs())
    rounding = a.shape[-1] * torch.finfo(torch.float32).eps
    require_close("matmul beside torch.matmul", result, real, scale * (WORST_PRODUCT + rounding))
    if with_numpy:
        theirs = torch.from_numpy(np.matmul(a.numpy(), b.numpy()))[rows][:, columns]
        require_close("numpy.matmul beside torch.matmul", theirs, real, scale * rounding)


def _bare_loop(products: int, threads: int) -> list[Rival]:
    """The kernels' fast loop repeated for so many products on one tile of operands, as long as each thread would: what
    the instructions allow. Nothing without kernels."""
    if find_spec("mulfree.backends._cpu") is None:
        return []
    from mulfree.backends.native import kernels

    times = max(1, products // (kernels.repeat_tile(1) * threads))
    return [Rival("bare loop", lambda: kernels.repeat_tile(times), None, bound=True)]


def _product(context: Context, a: Tensor, b: Tensor, work: str, data: _Data, target: float) -> Case:
    flat = a.dim() == 2
    rivals = [Rival("torch", lambda: torch.matmul(a, b), context.target(avx512=target, avx2=0.7))]
    rivals += _bare_loop(a.shape[:-2].numel() * a.shape[-2] * a.shape[-1] * b.shape[-1], context.threads)
    if flat:
        left, right = a.numpy(), b.numpy()
        rivals.append(Rival("numpy", lambda: np.matmul(left, right), None))
    return Case(
        work=work,
        data=data.name,
        ours=lambda: MF.matmul(a, b),
        rivals=tuple(rivals),
        verify=lambda: _verify_product(a, b, flat),
        best_target=context.target(avx512=data.best_target, avx2=None) if flat else None,
    )


def forward(context: Context) -> Iterator[Case]:
    """Square products and those of a Transformer's linear layers, on every kind of data."""
    for shape in SQUARES + LAYERS:
        m, k, n = _scale(context, shape)
        for data in KINDS:
            a, b = data.make(context, m, k), data.make(context, k, n)
            yield _product(context, a, b, f"matmul {m}x{k}x{n}", data, data.torch_target)


def small(context: Context) -> Iterator[Case]:
    """Attention-sized batches, odd sizes and a single row."""
    data = KINDS[0]
    batch = context.size(256, 4)
    a, b = context.normal(batch, 64, 64), context.normal(batch, 64, 64)
    yield _product(context, a, b, f"matmul {batch} x 64x64x64", data, 1.0)
    for m, k, n in ((197, 192, 577), (1, 512, 512)):
        yield _product(context, context.normal(m, k), context.normal(k, n), f"matmul {m}x{k}x{n}", data, 1.0)


def backward(context: Context) -> Iterator[Case]:
    """Both gradients of a product, with exact and approximate derivatives, beside torch's two products."""
    for shape in ((1024, 1024, 1024), (4096, 512, 512)):
        m, k, n = _scale(context, shape)
        a, b = context.normal(m, k).requires_grad_(), context.normal(k, n).requires_grad_()
        for data in (TRAINING, GRADIENTS):
            grad = data.make(context, m, n)
            for derivative in DERIVATIVES:
                yield _backward_case(context, a, b, grad, data.name, derivative)


def rates(context: Context) -> Iterator[Case]:
    """What bounds a product on one thread: the bare loop beside multiply-add, then each kind of data beside the bare
    loop. All do the same number of products, from the second-level cache at the farthest. Nothing without kernels."""
    if find_spec("mulfree.backends._cpu") is None:
        return
    from mulfree.backends.native import kernels

    size = RATE_SIZE
    times = size**3 // kernels.repeat_tile(1)
    a, b = context.normal(size, size), context.normal(size, size)

    def bare() -> int:
        return kernels.repeat_tile(times)

    def verify() -> None:
        if bare() != size**3:
            raise WrongResultError(f"the bare loop did not do {size**3} products")

    torch.set_num_threads(1)
    try:
        fused = Rival("torch (multiply-add)", lambda: torch.matmul(a, b), None)
        yield Case(f"bare loop, {size}^3 products", "none", bare, (fused,), verify)
        for data in KINDS:
            left, right = data.make(context, size, size), data.make(context, size, size)
            product = _product(context, left, right, f"matmul {size}x{size}x{size}, one thread", data, 0.0)
            yield replace(product, rivals=(Rival("bare loop", bare, None),), best_target=None)
    finally:
        torch.set_num_threads(context.threads)


def _backward_case(context: Context, a: Tensor, b: Tensor, grad: Tensor, data: str, derivative: MF.Derivative) -> Case:
    ours, theirs = MF.matmul(a, b, derivative=derivative), torch.matmul(a, b)

    def verify() -> None:
        rows, columns = _some(ROWS_CHECKED, len(a)), _some(ROWS_CHECKED, b.shape[1])
        by_a, by_b = torch.autograd.grad(ours, (a, b), grad, retain_graph=True)
        with backend("reference"):
            part = a.detach()[rows].requires_grad_()
            (expected,) = torch.autograd.grad(MF.matmul(part, b, derivative=derivative), part, grad[rows])
            require_same_bits("gradient by the left operand", by_a[rows], expected)
            part = b.detach()[:, columns].requires_grad_()
            (expected,) = torch.autograd.grad(MF.matmul(a, part, derivative=derivative), part, grad[:, columns])
            require_same_bits("gradient by the right operand", by_b[:, columns], expected)

    return Case(
        work=f"matmul backward {a.shape[0]}x{a.shape[1]}x{b.shape[1]}, {derivative}",
        data=data,
        ours=lambda: torch.autograd.grad(ours, (a, b), grad, retain_graph=True),
        rivals=(
            Rival(
                "torch",
                lambda: torch.autograd.grad(theirs, (a, b), grad, retain_graph=True),
                0.5 if derivative == "exact" else context.target(avx512=None, avx2=0.7),
            ),
        ),
        verify=verify,
    )
