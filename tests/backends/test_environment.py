"""Results depend neither on the caller's denormal mode nor on the number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import AdamScalars, AdamWScalars, Backend, LionScalars, RMSpropScalars, SGDScalars
from mulfree.backends.reference_words import words
from mulfree.numerics import scalar
from tests.backends import patterns, test_rows
from tests.backends.operations import OPERATIONS
from tests.backends.patterns import from_words


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def _flushing_works() -> bool:
    works = torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)
    return works


def _near_denormals(count: int, seed: int) -> Tensor:
    return patterns.sprinkled(patterns.log_uniform(count, seed, -130, -110), seed + 1, 0.001)


def everything(backend: Backend) -> dict[str, Tensor]:
    """One result of every method, on data whose operands, sums and results are often denormal."""
    count = 5_001 if backend.name == "reference" else 70_001
    result = {}
    for operation in OPERATIONS:
        operands = [patterns.mixed(count, 10 * i) for i in range(operation.operands)]
        result[operation.name] = operation.run(backend, *operands)
    for name, make in (("small", _near_denormals), ("normal", patterns.normal)):
        a, b, grad = make(3 * 70 * 90, 1).view(3, 70, 90), make(90 * 65, 2).view(90, 65), make(3 * 70 * 65, 3)
        offset = 0 if name == "normal" else scalar.compensation_offset(scalar.bits(2.0**110))
        result[f"matmul {name}"] = backend.matmul(a, b, make(65, 4), 23, offset)
        q, incoming = b.expand(3, 90, 65), grad.view(3, 70, 65)
        result[f"matmul_grad {name}"] = backend.matmul_grad(a, q, incoming, 23, offset)
        for dtype in (torch.float16, torch.bfloat16):
            result[f"matmul {name} {dtype}"] = backend.matmul(a.to(dtype), b.to(dtype)).view(torch.int16)
        x = make(40 * 1500, 5).view(40, 1500)
        for dims in ((0,), (1,), (0, 1)):
            result[f"sum {name} {dims}"] = backend.sum(x, dims)
        state = [make(count, 6), make(count, 7), make(count, 8), make(count, 9).abs()]
        settings = (scalar.bits(number) for number in (1e-3, 0.9, 0.999, 1e-8, 1e-5, 0.1, 1e-3))
        backend.adamw_(*state, AdamWScalars(*settings))
        result[f"adamw {name}"] = torch.stack(state)
        result[f"steps {name}"] = _steps(backend, [make(count, seed) for seed in range(20, 26)])
    for kind in ("gaussian", "specials", "random bits"):
        rows = test_rows.compute(backend, test_rows._random_case(count // 200, 67, kind))
        result |= {f"{method} {kind}": tensor for method, tensor in rows.items()}
    return result


def _steps(backend: Backend, state: list[Tensor]) -> Tensor:
    """One step of each optimizer but AdamW, one after another on the same tensors."""
    param, grad, middle, buffer, square, most = *state[:4], state[4].abs(), state[5].abs()
    half, rate, eps = (scalar.bits(number) for number in (0.5, 1e-3, 1e-8))
    backend.sgd_(param, grad, buffer, SGDScalars(rate, half, half, rate, True))
    backend.adam_(param, grad, middle, square, most, AdamScalars(rate, half, half, eps, 0, half, half, rate))
    backend.rmsprop_(param, grad, square, middle, buffer, RMSpropScalars(rate, half, eps, rate, half))
    backend.lion_(param, grad, middle, LionScalars(rate, half, half, rate))
    backend.moving_average_(most, param, rate)
    return torch.stack([param, middle, buffer, square, most])


def _bits(result: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: x if x.dtype == torch.int16 else x.view(torch.int32) for name, x in result.items()}


def _assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    differing = [name for name, x in expected.items() if not torch.equal(actual[name], x)]
    assert not differing, f"results differ in: {', '.join(differing)}"


def test_denormal_mode_and_threads(backend: Backend) -> None:
    if not _flushing_works():
        pytest.skip("this processor cannot flush denormals")
    torch.set_num_threads(1)
    expected = _bits(everything(backend))
    for threads, flushing in ((1, True), (3, False), (4, True)):
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)
        actual = everything(backend)
        torch.set_flush_denormal(False)
        _assert_same(_bits(actual), expected)


@pytest.mark.parametrize("flushing", [False, True])
def test_the_callers_denormal_mode_survives(backend: Backend, flushing: bool) -> None:
    if not _flushing_works():
        pytest.skip("this processor cannot flush denormals")
    torch.set_num_threads(1)
    torch.set_flush_denormal(flushing)
    x = patterns.mixed(64, 1).view(8, 8)
    backend.mul(x, x)
    backend.matmul(x, x)
    backend.softmax(x)
    half = from_words([0x00400000])
    doubled = int(words(half + half))
    torch.set_flush_denormal(False)
    assert doubled == (0 if flushing else 0x00800000)


def test_results_hold_no_denormal_and_one_nan(backend: Backend) -> None:
    for name, x in everything(backend).items():
        if x.dtype != torch.float32 or name.startswith(("adamw", "steps")):
            continue
        magnitude = words(x) & 0x7FFFFFFF
        assert not ((magnitude > 0) & (magnitude < 0x00800000)).any(), name
        assert (words(x)[magnitude > 0x7F800000] == 0x7FC00000).all(), name
