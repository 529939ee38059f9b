"""Optimizer steps of every backend against the law, bit for bit (spec 9)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import AdamScalars, Backend, LionScalars, RMSpropScalars, SGDScalars
from mulfree.backends.select import named
from mulfree.numerics import optimizers, scalar
from tests.backends import patterns
from tests.backends.patterns import assert_same_bits, from_words, to_words

Law = Callable[..., tuple[int, ...]]
State = list[Tensor | None]


def words(**settings: float) -> dict[str, int]:
    return {name: scalar.bits(number) for name, number in settings.items()}


def _state(n: int, kind: str, count: int, squares: int = 0) -> list[Tensor]:
    """Parameter, gradient, and ``count`` tensors of state; the last ``squares`` not negative but for special words."""
    state = [patterns.normal(n, 70), *(patterns.gradient_like(n, 71 + i) for i in range(count + 1))]
    if kind == "specials":
        return [patterns.sprinkled(x, 80 + i, 0.1) for i, x in enumerate(state)]
    if kind == "wide":
        return [patterns.log_uniform(n, 80 + i) for i in range(len(state))]
    if kind == "tame":  # as far as the kernels' quick forms reach
        state = [patterns.log_uniform(n, 90 + i, -130, 30) for i in range(len(state))]
    plain = len(state) - squares
    return [*state[:plain], *(x.abs() for x in state[plain:])]


def _expected(law: Law, state: list[Tensor]) -> list[Tensor]:
    rows = [law(row) for row in zip(*map(to_words, state), strict=True)]
    return [from_words(list(column)) for column in zip(*rows, strict=True)] if rows else []


SGD = [
    ("plain", words(lr=0.1, momentum=0, rest=1, weight_decay=0), False),
    ("decay", words(lr=0.1, momentum=0, rest=1, weight_decay=0.01), False),
    ("momentum", words(lr=0.1, momentum=0.9, rest=1, weight_decay=5e-4), False),
    ("dampening", words(lr=3e-3, momentum=0.9, rest=0.7, weight_decay=0), False),
    ("nesterov", words(lr=0.1, momentum=0.95, rest=1, weight_decay=1e-3), True),
    ("extreme", words(lr=1e30, momentum=3e-39, rest=-2, weight_decay=1e10), False),
]
ADAM = [
    words(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0, correction1=0.1, correction2=1e-3, weight_decay=0.01),
    words(lr=0.5, beta1=0, beta2=0.95, eps=0, decay=0.125, correction1=1, correction2=0.75, weight_decay=0),
]
RMSPROP = [
    words(lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0),
    words(lr=0.1, alpha=0.5, eps=0, weight_decay=0.1, momentum=0.9),
]
LION = [words(lr=1e-4, beta1=0.9, beta2=0.99, decay=1e-6), words(lr=2, beta1=0, beta2=0.5, decay=0)]
KINDS = ["usual", "specials", "wide", "tame"]

cases = pytest.mark.parametrize(
    ("kind", "n"), [*((kind, 301) for kind in KINDS), ("usual", 0), ("tame", 1), ("tame", 31)]
)


def _compare(state: State, grad: Tensor, expected: list[Tensor]) -> None:
    assert_same_bits(state[1], grad)  # type: ignore[arg-type]
    changed = [x for i, x in enumerate(state) if i != 1]
    for actual, wanted in zip(changed, expected, strict=False):
        if actual is not None:
            assert_same_bits(actual, wanted)


@cases
@pytest.mark.parametrize(("name", "scalars", "nesterov"), SGD, ids=[name for name, *_ in SGD])
def test_sgd(backend: Backend, name: str, scalars: dict[str, int], nesterov: bool, kind: str, n: int) -> None:
    state: State = [*_state(n, kind, 1)]
    expected = _expected(lambda row: optimizers.sgd(row, **scalars, nesterov=nesterov), state)  # type: ignore[arg-type]
    grad = state[1].clone()  # type: ignore[union-attr]
    if scalar.is_zero(scalars["momentum"]):
        state[2] = None
    backend.sgd_(*state, SGDScalars(**scalars, nesterov=nesterov))  # type: ignore[arg-type]
    _compare(state, grad, expected)


@cases
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("scalars", ADAM, ids=["usual", "extreme"])
def test_adam(backend: Backend, scalars: dict[str, int], amsgrad: bool, kind: str, n: int) -> None:
    state: State = [*_state(n, kind, 3, squares=2)]
    expected = _expected(lambda row: optimizers.adam(row, **scalars, amsgrad=amsgrad), state)  # type: ignore[arg-type]
    grad = state[1].clone()  # type: ignore[union-attr]
    if not amsgrad:
        state[4] = None
    backend.adam_(*state, AdamScalars(**scalars))  # type: ignore[arg-type]
    _compare(state, grad, expected)


@cases
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("scalars", RMSPROP, ids=["usual", "momentum"])
def test_rmsprop(backend: Backend, scalars: dict[str, int], centered: bool, kind: str, n: int) -> None:
    param, grad, middle, buffer, square = _state(n, kind, 3, squares=1)
    state: State = [param, grad, square, middle, buffer]
    expected = _expected(
        lambda row: optimizers.rmsprop(row, **scalars, centered=centered),
        state,  # type: ignore[arg-type]
    )
    before = grad.clone()
    if not centered:
        state[3] = None
    if scalar.is_zero(scalars["momentum"]):
        state[4] = None
    backend.rmsprop_(*state, RMSpropScalars(**scalars))  # type: ignore[arg-type]
    _compare(state, before, expected)


@cases
@pytest.mark.parametrize("scalars", LION, ids=["usual", "extreme"])
def test_lion(backend: Backend, scalars: dict[str, int], kind: str, n: int) -> None:
    state: State = [*_state(n, kind, 1)]
    expected = _expected(lambda row: optimizers.lion(row, **scalars), state)  # type: ignore[arg-type]
    grad = state[1].clone()  # type: ignore[union-attr]
    backend.lion_(*state, LionScalars(**scalars))  # type: ignore[arg-type]
    _compare(state, grad, expected)


@cases
@pytest.mark.parametrize("share", [1e-3, 1.0, 0.0])
def test_moving_average(backend: Backend, share: float, kind: str, n: int) -> None:
    average, param = _state(n, kind, 0)
    word = scalar.bits(share)
    expected = [optimizers.moving_average(a, p, word) for a, p in zip(to_words(average), to_words(param), strict=True)]
    before = param.clone()
    backend.moving_average_(average, param, word)
    assert_same_bits(average, from_words(expected))
    assert_same_bits(param, before)


@cache
def _large(kind: str) -> tuple[list[Tensor], list[Tensor]]:
    state = _state(100_003, kind, 3, squares=2)
    changed = [x.clone() for x in state]
    named("reference").adam_(*changed, AdamScalars(**ADAM[0]))
    return state, changed


@pytest.mark.parametrize("kind", KINDS)
def test_many_tasks_and_threads(native: Backend, kind: str) -> None:
    state, expected = _large(kind)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            actual = [x.clone() for x in state]
            native.adam_(*actual, AdamScalars(**ADAM[0]))
            for got, wanted in zip(actual, expected, strict=True):
                assert_same_bits(got, wanted)
    finally:
        torch.set_num_threads(threads)
