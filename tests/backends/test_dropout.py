"""Dropout of every backend against the law, bit for bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from mulfree.numerics import random, scalar
from tests.backends import patterns
from tests.backends.patterns import assert_same_bits, from_words, to_words

SEED, SCALE = 0x7370734413198A2E, scalar.bits(1.25)
THRESHOLD = random.dropout_threshold(0.3)


def seed_tensor(seed: int = SEED) -> Tensor:
    return torch.tensor([seed])


def by_law(x: Tensor, seed: int, threshold: int, scale: int) -> Tensor:
    dropped = [random.dropout(word, seed, i, threshold, scale) for i, word in enumerate(to_words(x))]
    return from_words(dropped).view(x.shape)


@pytest.mark.parametrize("scale", [SCALE, scalar.bits(float("inf"))])
@pytest.mark.parametrize("threshold", [0, THRESHOLD, (1 << 32) - 1])
def test_law(backend: Backend, threshold: int, scale: int) -> None:
    x = torch.cat([from_words(patterns.SPECIAL_WORDS), patterns.mixed(5_000, 1)])
    got = backend.dropout(x, seed_tensor(), threshold, scale)
    assert_same_bits(got, by_law(x, SEED, threshold, scale), x)


def test_every_length(backend: Backend) -> None:
    x = patterns.mixed(200, 2)
    expected = by_law(x, SEED, THRESHOLD, SCALE)
    for length in range(131):
        got = backend.dropout(x[:length], seed_tensor(), THRESHOLD, SCALE)
        assert_same_bits(got, expected[:length], x[:length])


def test_negative_seeds(backend: Backend) -> None:
    x = patterns.mixed(100, 3)
    assert_same_bits(backend.dropout(x, seed_tensor(-2), THRESHOLD, SCALE), by_law(x, -2, THRESHOLD, SCALE), x)


def test_elements_count_in_row_major_order(backend: Backend) -> None:
    x = patterns.mixed(60, 4).view(10, 6)
    got = backend.dropout(x.mT, seed_tensor(), THRESHOLD, SCALE)
    assert got.is_contiguous()
    assert_same_bits(got, by_law(x.mT.contiguous(), SEED, THRESHOLD, SCALE), x.mT)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(native: Backend, threads: int) -> None:
    x = patterns.mixed(200_003, 5)
    expected = named("reference").dropout(x, seed_tensor(), THRESHOLD, SCALE)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_same_bits(native.dropout(x, seed_tensor(), THRESHOLD, SCALE), expected, x)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("first", [1, 31, 32, 77, (1 << 37) + 5])
def test_parts_of_a_tensor(backend: Backend, first: int) -> None:
    x = patterns.mixed(150, 6).view(3, 50)
    numbered = enumerate(to_words(x), start=first)
    expected = from_words([random.dropout(word, SEED, i, THRESHOLD, SCALE) for i, word in numbered]).view(3, 50)
    assert_same_bits(backend.dropout(x, seed_tensor(), THRESHOLD, SCALE, first), expected, x)
