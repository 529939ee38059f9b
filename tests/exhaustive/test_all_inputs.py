"""Every input there is: all 2**32 words for exp2, log2 and their derivatives, all bfloat16 pairs for mul and div.

Every native target is compared with ``independent``; the reference backend on a sample of a few million.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from tests.backends.conftest import _cpu
from tests.exhaustive import independent
from tests.exhaustive.independent import Words

pytestmark = pytest.mark.slow

BLOCK = 1 << 20
BLOCKS = (1 << 32) // BLOCK
FAMILIES = {"exp2": independent.exp2_family, "log2": independent.log2_family}
PAIRED = {"mul": independent.mul, "div": independent.div}

Progress = Callable[[Iterator[Any], int], Iterator[Any]]


@pytest.fixture
def targets() -> list[str]:
    if _cpu is None:
        pytest.skip("the native kernels are not built")
    return [target for target in _cpu.targets() if target != "wide"]  # slow, and the same source as the others


def _tensor(words: Words) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(words).view(np.float32))


def _assert_same(actual: Tensor, expected: Words, name: str, operands: Callable[[int], str]) -> None:
    got = actual.numpy().view(np.uint32)
    if not np.array_equal(got, expected):
        at = int(np.flatnonzero(got.ravel() != expected.ravel())[0])
        raise AssertionError(f"{name} {operands(at)}: got {got.flat[at]:#x}, expected {expected.flat[at]:#x}")


def _on_every_target(targets: list[str], check: Callable[[Backend, str], None]) -> None:
    before = _cpu.target()
    try:
        for target in targets:
            _cpu.choose(target)
            check(named("cpu"), target)
    finally:
        _cpu.choose(before)


def _computed(function: Callable[[int], Any], count: int) -> Iterator[Any]:
    """function(0), ..., function(count - 1), a few at a time on all processors."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, count, workers):
            yield from pool.map(function, range(start, min(start + workers, count)))


def _check_family(name: str, words: Words, expected: dict[str, Words], backend: Backend, label: str) -> None:
    x, one = _tensor(words), torch.ones(())
    results = {
        name: backend.unary(name, x),
        "exact": backend.unary_grad(name, one.expand_as(x), x, True),
        "approximate": backend.unary_grad(name, one.expand_as(x), x, False),
    }
    for kind, actual in results.items():
        _assert_same(actual, expected[kind], f"{label} {name} {kind}", lambda at: f"of {words[at]:#x}")


@pytest.mark.native
@pytest.mark.parametrize("name", FAMILIES)
def test_every_word(name: str, targets: list[str], progress: Progress) -> None:
    def block(index: int) -> tuple[Words, dict[str, Words]]:
        words = np.arange(index * BLOCK, (index + 1) * BLOCK, dtype=np.int64).astype(np.uint32)
        return words, FAMILIES[name](words)

    for words, expected in progress(_computed(block, BLOCKS), BLOCKS):
        _on_every_target(targets, partial(_check_family, name, words, expected))


@pytest.mark.parametrize("name", FAMILIES)
def test_reference_on_a_sample_of_words(name: str, progress: Progress) -> None:
    """Every 257th word: all exponents, 16.7 million inputs."""
    chunks = np.array_split(np.arange(0, 1 << 32, 257, dtype=np.int64).astype(np.uint32), 64)
    for words in progress(iter(chunks), len(chunks)):
        _check_family(name, words, FAMILIES[name](words), named("reference"), "reference")


def _bfloat16_words() -> Words:
    return np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)


def _check_pairs(name: str, operands: tuple[Words, Words], expected: Words, backend: Backend, label: str) -> None:
    a, b = operands
    actual = getattr(backend, name)(_tensor(a), _tensor(b))
    describe = lambda at: f"of {a.flat[at // b.size]:#x}, {b.flat[at % b.size]:#x}"  # noqa: E731
    _assert_same(actual, expected, f"{label} {name}", describe)


@pytest.mark.native
@pytest.mark.parametrize("name", PAIRED)
def test_every_pair_of_bfloat16(name: str, targets: list[str], progress: Progress) -> None:
    words = _bfloat16_words()
    rows = BLOCK // len(words)

    def block(index: int) -> tuple[Words, Words]:
        a = words[index * rows : (index + 1) * rows, None]
        return a, PAIRED[name](a, words[None])

    for a, expected in progress(_computed(block, BLOCKS), BLOCKS):
        _on_every_target(targets, partial(_check_pairs, name, (a, words[None]), expected))


@pytest.mark.parametrize("name", PAIRED)
def test_reference_on_a_sample_of_pairs(name: str, progress: Progress) -> None:
    """Every 16th word against every 17th: 15.8 million pairs."""
    words = _bfloat16_words()
    first, second = words[::16, None], words[None, ::17]
    chunks = np.array_split(first, 64)
    for a in progress(iter(chunks), len(chunks)):
        _check_pairs(name, (a, second), PAIRED[name](a, second), named("reference"), "reference")
