"""Inside the backends: no kernel of theirs, and none of their Python code around it, multiplies floats in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mulfree import audit
from mulfree.backends import select
from mulfree.backends.contract import AdamScalars, AdamWScalars, Backend, LionScalars, RMSpropScalars, SGDScalars
from mulfree.numerics.scalar import bits

X, Y = torch.tensor([[0.5, -1.5, 3.0], [2.0, 0.0, -0.25]]), torch.tensor([[1.0, 2.5, -3.0], [0.75, 4.0, 1.0]])
ROW, TARGET, STATS_OF = torch.tensor([1.0, 0.5, -2.0]), torch.tensor([2, 0]), torch.ones(2)
SCALARS = AdamWScalars(*map(bits, (1e-3, 0.9, 0.999, 1e-8, 1e-5, 0.1, 0.001)))


def _unaries(backend: Backend) -> None:
    for name in backend.UNARY:
        backend.unary(name, Y)
        for exact in (True, False):
            backend.unary_grad(name, X, Y, exact)


def _rows(backend: Backend) -> None:
    for exact in (True, False):
        backend.softmax_grad(Y, X, backend.softmax(X)[1], exact)
        backend.log_softmax_grad(Y, X, backend.log_softmax(X)[1], exact)
        backend.logsumexp_grad(STATS_OF, X, backend.logsumexp(X)[1], exact)
        backend.layer_norm_grad(Y, X, ROW, backend.layer_norm(X, ROW, ROW, 1e-5)[1], exact)
        for smoothing in (0.0, 0.1):
            stats = backend.cross_entropy(X, TARGET, -100, smoothing)[1]
            backend.cross_entropy_grad(STATS_OF, X, TARGET, stats, -100, smoothing, exact)


def _adamw(backend: Backend) -> None:
    backend.adamw_(X.clone(), Y, torch.zeros_like(X), torch.zeros_like(X), SCALARS)


def _steps(backend: Backend) -> None:
    param, *state = (X.clone() for _ in range(4))
    rate, half = bits(1e-3), bits(0.5)
    backend.sgd_(param, Y, state[0], SGDScalars(rate, half, half, rate, True))
    backend.adam_(param, Y, *state, AdamScalars(rate, half, half, rate, rate, half, half, rate))
    backend.rmsprop_(param, Y, *state, RMSpropScalars(rate, half, rate, rate, half))
    backend.lion_(param, Y, state[0], LionScalars(rate, half, half, rate))
    backend.moving_average_(state[0], param, rate)


WORK: dict[str, Callable[[Backend], object]] = {
    "mul": lambda b: (b.mul(X, Y, 5), b.mul_grad(X, X, Y, 5)),
    "div": lambda b: (b.div(X, Y), b.div_grad_numerator(X, X, Y), b.div_grad_denominator(X, X, Y, True)),
    "div by b": lambda b: b.div_grad_denominator(X, X, Y, False),
    "unary": _unaries,
    "dropout": lambda b: b.dropout(X, torch.tensor([1]), 1 << 31, 0x3FA00000),
    "sum": lambda b: b.sum(X, (0,)),
    "matmul": lambda b: b.matmul(X, Y.mT, torch.ones(2), 7, 3),
    "half": lambda b: b.matmul(X.half(), Y.mT.half()),
    "matmul derivative": lambda b: b.matmul_grad(X, Y.mT.contiguous(), torch.ones(2, 2), 7, 3),
    "rows": _rows,
    "adamw": _adamw,
    "steps": _steps,
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("name", ["reference", pytest.param("cpu", marks=pytest.mark.native)])
def test_kernels_do_not_multiply(name: str, work: str) -> None:
    try:
        backend = select.named(name)
    except ImportError as error:
        pytest.skip(f"the native kernels are not built: {error}")
    with audit() as found:
        WORK[work](backend)
    assert found.multiplications == 0, str(found)
    assert found.findings == (), str(found)
