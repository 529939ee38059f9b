"""Elementwise methods of every backend against the law, bit for bit."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from tests.backends import patterns
from tests.backends.operations import OPERATIONS, Operation
from tests.backends.patterns import assert_same_bits, from_words, to_words

BROADCASTING = [operation for operation in OPERATIONS if operation.name in ("mul", "mul_grad", "div", "exp2")]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def by_law(operation: Operation, *operands: Tensor) -> Tensor:
    shape = torch.broadcast_shapes(*(x.shape for x in operands))
    columns = [to_words(x.broadcast_to(shape)) for x in operands]
    return from_words([operation.law(*words) for words in zip(*columns, strict=True)]).view(shape)


def special_operands(operation: Operation) -> tuple[Tensor, ...]:
    """Every pair of special words; a third operand, the incoming gradient first, meets each pair in turn."""
    specials, incoming = from_words(patterns.SPECIAL_WORDS), from_words(patterns.INCOMING_WORDS)
    lists = {1: (specials,), 2: (specials, specials), 3: (incoming, specials, specials)}[operation.operands]
    integers = torch.cartesian_prod(*(x.view(torch.int32) for x in lists)).view(-1, operation.operands)
    return tuple(integers[:, i].contiguous().view(torch.float32) for i in range(operation.operands))


def random_operands(operation: Operation, count: int, seed: int) -> tuple[Tensor, ...]:
    return tuple(patterns.mixed(count, seed + 10 * i) for i in range(operation.operands))


@cache
def special_case(operation: Operation) -> tuple[tuple[Tensor, ...], Tensor]:
    operands = special_operands(operation)
    return operands, by_law(operation, *operands)


@cache
def random_case(operation: Operation) -> tuple[tuple[Tensor, ...], Tensor]:
    operands = random_operands(operation, 50_000 if operation.primitive else 5_000, 3)
    return operands, by_law(operation, *operands)


@cache
def long_case(operation: Operation) -> tuple[tuple[Tensor, ...], Tensor]:
    operands = random_operands(operation, 2_000_003 if operation.primitive else 300_007, 7)
    return operands, operation.run(named("reference"), *operands)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_all_pairs_of_special_words(backend: Backend, operation: Operation) -> None:
    operands, expected = special_case(operation)
    assert_same_bits(operation.run(backend, *operands), expected, *operands)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_random_words(backend: Backend, operation: Operation) -> None:
    operands, expected = random_case(operation)
    assert_same_bits(operation.run(backend, *operands), expected, *operands)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_native_kernels_on_millions_of_words(native: Backend, operation: Operation) -> None:
    operands, expected = long_case(operation)
    assert_same_bits(operation.run(native, *operands), expected, *operands)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_length_and_alignment(backend: Backend, operation: Operation) -> None:
    operands, expected = random_case(operation)
    for length in (*range(36), 63, 64, 65, 127, 129, 1023, 1025):
        start = length % 5
        chosen = [x[start : start + length] for x in operands]
        assert_same_bits(operation.run(backend, *chosen), expected[start : start + length], *chosen)


SHAPES = {
    "scalars": ((), ()),
    "scalar and vector": ((), (7,)),
    "row and column": ((1, 5), (4, 1)),
    "bias": ((3, 4, 33), (33,)),
    "inner": ((3, 1, 9), (2, 1)),
    "leading": ((5, 1, 1), (5, 3, 8)),
    "empty": ((0, 4), (1, 4)),
    "empty by broadcasting": ((3, 1), (1, 0)),
    "many dimensions": ((2, 1, 2, 1, 2, 3), (2, 1, 3, 1, 3)),
}


@pytest.mark.parametrize("operation", BROADCASTING, ids=str)
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())
def test_broadcasting(backend: Backend, operation: Operation, shapes: tuple[tuple[int, ...], ...]) -> None:
    result = torch.broadcast_shapes(*shapes)
    wanted = {1: shapes[:1], 2: shapes, 3: (result, *shapes)}[operation.operands]
    operands = [patterns.mixed(torch.Size(shape).numel(), 40 + i).view(shape) for i, shape in enumerate(wanted)]
    got = operation.run(backend, *operands)
    assert got.is_contiguous()
    assert_same_bits(got, by_law(operation, *operands))


def _strided(kind: str, seed: int) -> Tensor:
    """A (6, 10) tensor of these strides."""
    match kind:
        case "transposed":
            return patterns.mixed(60, seed).view(10, 6).mT
        case "step":
            return patterns.mixed(240, seed).view(12, 20)[::2, ::2]
        case "offset":
            return patterns.mixed(100, seed).view(10, 10)[3:9]
        case "expanded row":
            return patterns.mixed(10, seed).expand(6, 10)
        case "expanded column":
            return patterns.mixed(6, seed)[:, None].expand(6, 10)
        case _:
            return patterns.mixed(60, seed).view(6, 10)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
@pytest.mark.parametrize("kind", ["transposed", "step", "offset", "expanded row", "expanded column"])
def test_strides(backend: Backend, operation: Operation, kind: str) -> None:
    same = [_strided(kind, 70 + i) for i in range(operation.operands)]
    mixed = [_strided(kind if i == 0 else "contiguous", 80 + i) for i in range(operation.operands)]
    for operands in (same, mixed):
        before = [x.clone() for x in operands]
        got = operation.run(backend, *operands)
        assert got.is_contiguous()
        assert_same_bits(got, by_law(operation, *operands))
        for x, old in zip(operands, before, strict=True):
            assert_same_bits(x, old)


def test_operands_may_be_one_tensor(backend: Backend) -> None:
    x = patterns.mixed(1000, 5)
    for operation in OPERATIONS:
        operands = [x] * operation.operands
        assert_same_bits(operation.run(backend, *operands)[:100], by_law(operation, *[x[:100]] * operation.operands))
