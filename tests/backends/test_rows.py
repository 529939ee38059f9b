"""Row methods of every backend against the law, bit for bit (spec 7)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import AdamWScalars, Backend
from mulfree.backends.select import named
from mulfree.numerics import optimizers, rows, scalar
from mulfree.numerics.formats import INF, MAX, ONE, SIGN
from tests.backends import patterns
from tests.backends.patterns import assert_same_bits, from_words, to_words

EPS = 1e-5
IGNORE = -100
MASKED = SIGN | INF
LOWEST = SIGN | MAX


def _gaussian(n: int, source: random.Random) -> list[int]:
    return [scalar.bits(source.gauss(0.0, 3.0)) for _ in range(n)]


def _masked(n: int, source: random.Random) -> list[int]:
    return [word if source.random() < 0.6 else MASKED for word in _gaussian(n, source)]


def _replaced(word: int) -> Callable[[int, random.Random], list[int]]:
    def make(n: int, source: random.Random) -> list[int]:
        row = _gaussian(n, source)
        row[source.randrange(n)] = word
        return row

    return make


ROWS: dict[str, Callable[[int, random.Random], list[int]]] = {
    "gaussian": _gaussian,
    "masked": _masked,
    "fully masked": lambda n, source: [MASKED] * n,
    "infinity": _replaced(INF),
    "NaN": _replaced(0xFFC12345),
    "constant": lambda n, source: [0x40A00000] * n,
    "zeros and denormals": lambda n, source: [source.choice((0, SIGN, 1, SIGN | 5)) for _ in range(n)],
    "wide": lambda n, source: to_words(patterns.log_uniform(n, source.getrandbits(30), -40, 40)),
    "lowest numbers": lambda n, source: [LOWEST] * n,
    "masked with lowest numbers": lambda n, source: [source.choice((LOWEST, x, x)) for x in _gaussian(n, source)],
    "held": lambda n, source: [source.choice((0, SIGN)) | MAX - source.getrandbits(23) for _ in range(n)],
    "held and masked": lambda n, source: [source.choice((MASKED, LOWEST, LOWEST + 5)) for _ in range(n)],
    "random bits": lambda n, source: [source.getrandbits(32) for _ in range(n)],
}
SMALL = [1, 2, 3, 31, 32, 33, 70]
LONG = [1023, 1024, 1025, 1026, 2050]


@dataclass(frozen=True)
class Case:
    """Rows of one length with incoming gradients, and what the law makes of them."""

    x: Tensor
    grad: Tensor
    weight: Tensor
    bias: Tensor
    target: Tensor
    expected: dict[str, Tensor]


def _matrix(result: list[list[int]]) -> Tensor:
    return torch.stack([from_words(row) for row in result])


@cache
def case(n: int, kinds: tuple[str, ...]) -> Case:
    source = random.Random(n)
    words = [ROWS[kind](n, source) for kind in kinds]
    grads = [_gaussian(n, source) if source.random() < 0.8 else ROWS["random bits"](n, source) for _ in kinds]
    weight, bias = _gaussian(n, source), _gaussian(n, source)
    targets = [source.randrange(n) for _ in kinds]
    each = list(zip(words, grads, targets, strict=True))
    expected = {
        "softmax": _matrix([rows.softmax(row) for row in words]),
        "log_softmax": _matrix([rows.log_softmax(row) for row in words]),
        "logsumexp": from_words([rows.logsumexp(row) for row in words]),
        "layer_norm": _matrix([rows.layer_norm(row, weight, bias, EPS) for row in words]),
    }
    for smoothing in (0.0, 0.1):
        losses = [rows.cross_entropy(row, target, smoothing) for row, _, target in each]
        expected[f"cross_entropy {smoothing}"] = from_words(losses)
    for exact in (True, False):
        expected[f"softmax_grad {exact}"] = _matrix([rows.softmax_grad(g, row, exact) for row, g, _ in each])
        expected[f"log_softmax_grad {exact}"] = _matrix([rows.log_softmax_grad(g, row, exact) for row, g, _ in each])
        expected[f"logsumexp_grad {exact}"] = _matrix([rows.logsumexp_grad(g[0], row, exact) for row, g, _ in each])
        for smoothing in (0.0, 0.1):
            by_row = [rows.cross_entropy_grad(g[0], row, t, smoothing, exact) for row, g, t in each]
            expected[f"cross_entropy_grad {smoothing} {exact}"] = _matrix(by_row)
        parts = [rows.layer_norm_grad(g, row, weight, EPS, exact) for row, g, _ in each]
        expected[f"layer_norm_grad x {exact}"] = _matrix([part[0] for part in parts])
        columns = zip(*(part[1] for part in parts), strict=True)
        expected[f"layer_norm_grad weight {exact}"] = from_words([rows.total(column) for column in columns])
    expected["layer_norm_grad bias"] = from_words([rows.total(column) for column in zip(*grads, strict=True)])
    return Case(_matrix(words), _matrix(grads), from_words(weight), from_words(bias), torch.tensor(targets), expected)


def compute(backend: Backend, case: Case) -> dict[str, Tensor]:
    """Every row method on ``case``, under the names of ``Case.expected``."""
    x, grad, column = case.x, case.grad, case.grad[:, 0].contiguous()
    result = {}
    result["softmax"], softmax_stats = backend.softmax(x)
    result["log_softmax"], log_softmax_stats = backend.log_softmax(x)
    result["logsumexp"], logsumexp_stats = backend.logsumexp(x)
    result["layer_norm"], norm_stats = backend.layer_norm(x, case.weight, case.bias, EPS)
    for exact in (True, False):
        result[f"softmax_grad {exact}"] = backend.softmax_grad(grad, x, softmax_stats, exact)
        result[f"log_softmax_grad {exact}"] = backend.log_softmax_grad(grad, x, log_softmax_stats, exact)
        result[f"logsumexp_grad {exact}"] = backend.logsumexp_grad(column, x, logsumexp_stats, exact)
        by_x, by_weight, by_bias = backend.layer_norm_grad(grad, x, case.weight, norm_stats, exact)
        result[f"layer_norm_grad x {exact}"], result[f"layer_norm_grad weight {exact}"] = by_x, by_weight
        result["layer_norm_grad bias"] = by_bias
        for smoothing in (0.0, 0.1):
            loss, stats = backend.cross_entropy(x, case.target, IGNORE, smoothing)
            result[f"cross_entropy {smoothing}"] = loss
            result[f"cross_entropy_grad {smoothing} {exact}"] = backend.cross_entropy_grad(
                column, x, case.target, stats, IGNORE, smoothing, exact
            )
    return result


def compare(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        try:
            assert actual[name].is_contiguous()
            assert_same_bits(actual[name], wanted)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("n", SMALL)
def test_every_kind_of_row(backend: Backend, n: int, kind: str) -> None:
    wanted = case(n, (kind,))
    compare(compute(backend, wanted), wanted.expected)


def _kind(n: int) -> str:
    return list(ROWS)[n % len(ROWS)]


@pytest.mark.parametrize("n", range(1, 71))
def test_every_length(backend: Backend, n: int) -> None:
    wanted = case(n, ("gaussian", _kind(n)) if n < 20 else (_kind(n),))
    compare(compute(backend, wanted), wanted.expected)


@pytest.mark.parametrize("n", LONG)
def test_rows_of_several_chunks(backend: Backend, n: int) -> None:
    wanted = case(n, ("masked" if n % 2 else "gaussian",))
    compare(compute(backend, wanted), wanted.expected)


def _random_case(count: int, n: int, kind: str) -> Case:
    make = {
        "gaussian": patterns.normal,
        "wide": lambda size, seed: patterns.log_uniform(size, seed, -40, 40),
        "specials": lambda size, seed: patterns.sprinkled(patterns.normal(size, seed), seed, 1 / (3 * n)),
        "random bits": patterns.random_bits,
    }[kind]
    x, grad = make(count * n, 1).view(count, n), make(count * n, 2).view(count, n)
    target = torch.randint(0, n, (count,), generator=torch.Generator().manual_seed(3))
    target[::5] = IGNORE
    return Case(x, grad, patterns.normal(n, 4), patterns.normal(n, 5), target, {})


@cache
def _large(count: int, n: int, kind: str) -> tuple[Case, dict[str, Tensor]]:
    wanted = _random_case(count, n, kind)
    return wanted, compute(named("reference"), wanted)


@pytest.mark.parametrize("kind", ["gaussian", "wide", "specials", "random bits"])
@pytest.mark.parametrize(("count", "n"), [(5000, 10), (300, 197), (2100, 64), (3, 4097), (33, 1000)])
def test_kernels_on_many_rows(compiled: Backend, count: int, n: int, kind: str) -> None:
    wanted, expected = _large(count, n, kind)
    compare(compute(compiled, wanted), expected)


def test_ignored_rows_lose_nothing_and_get_no_gradient(backend: Backend) -> None:
    wanted = case(33, ("gaussian", "NaN", "infinity", "masked"))
    for ignore in (IGNORE, int(wanted.target[1])):
        target = wanted.target.clone()
        target[1:3] = ignore
        ignored = (target == ignore).nonzero().flatten().tolist()
        column = wanted.grad[:, 0].contiguous()
        for smoothing in (0.0, 0.1):
            loss, stats = backend.cross_entropy(wanted.x, target, ignore, smoothing)
            grad = backend.cross_entropy_grad(column, wanted.x, target, stats, ignore, smoothing, True)
            for row in range(4):
                expected = wanted.expected[f"cross_entropy {smoothing}"][row]
                slope = wanted.expected[f"cross_entropy_grad {smoothing} True"][row]
                kept = row not in ignored
                assert_same_bits(loss[row], expected if kept else torch.zeros(()))
                assert_same_bits(grad[row], slope if kept else torch.zeros(33))


@pytest.mark.parametrize("kind", ["gaussian", "wide", "zeros and denormals", "random bits"])
def test_layer_norm_without_weight_and_bias(backend: Backend, kind: str) -> None:
    """No weight is a weight of one; no bias adds nothing, not even +0 to -0."""
    wanted = case(33, (kind,))
    row, grad = to_words(wanted.x), to_words(wanted.grad)
    ones, nothing = [ONE] * 33, [SIGN] * 33
    got, stats = backend.layer_norm(wanted.x, None, None, EPS)
    assert_same_bits(got[0], from_words(rows.layer_norm(row, ones, nothing, EPS)))
    weight = wanted.weight
    got = backend.layer_norm(wanted.x, weight, None, EPS)[0]
    assert_same_bits(got[0], from_words(rows.layer_norm(row, to_words(weight), nothing, EPS)))
    got = backend.layer_norm(wanted.x, None, wanted.bias, EPS)[0]
    assert_same_bits(got[0], from_words(rows.layer_norm(row, ones, to_words(wanted.bias), EPS)))
    for exact in (True, False):
        by_x, by_weight, by_bias = backend.layer_norm_grad(wanted.grad, wanted.x, None, stats, exact)
        law_x, law_weight = rows.layer_norm_grad(grad, row, ones, EPS, exact)
        assert_same_bits(by_x[0], from_words(law_x))
        assert_same_bits(by_weight, from_words([rows.total([word]) for word in law_weight]))
        assert_same_bits(by_bias, from_words([rows.total([word]) for word in grad]))


@pytest.mark.parametrize("shape", [(0, 5), (0, 0), (3, 0)], ids=str)
def test_empty(backend: Backend, shape: tuple[int, int]) -> None:
    x, weight = torch.empty(shape), torch.ones(shape[1])
    target = torch.full((shape[0],), IGNORE)
    for forward, backward in (
        (backend.softmax, backend.softmax_grad),
        (backend.log_softmax, backend.log_softmax_grad),
    ):
        result, stats = forward(x)
        assert result.shape == shape
        assert stats.shape == (shape[0], 2)
        assert backward(x, x, stats, True).shape == shape
    result, stats = backend.logsumexp(x)
    assert_same_bits(result, torch.full((shape[0],), float("-inf")))
    assert backend.logsumexp_grad(result, x, stats, True).shape == shape
    loss, stats = backend.cross_entropy(x, target, IGNORE, 0.1)
    assert_same_bits(loss, torch.zeros(shape[0]))
    assert backend.cross_entropy_grad(loss, x, target, stats, IGNORE, 0.1, True).shape == shape
    result, stats = backend.layer_norm(x, weight, weight, EPS)
    assert result.shape == shape
    by_x, by_weight, by_bias = backend.layer_norm_grad(x, x, weight, stats, False)
    assert by_x.shape == shape
    for by_parameter in (by_weight, by_bias):
        assert_same_bits(by_parameter, torch.zeros(shape[1]))


ADAMW = [
    {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decay": 1e-5, "correction1": 0.1, "correction2": 1e-3},
    {"lr": 0.5, "beta1": 0.0, "beta2": 0.95, "eps": 0.0, "decay": 0.0, "correction1": 1.0, "correction2": 0.75},
]


@pytest.mark.parametrize("settings", ADAMW, ids=["usual", "extreme"])
@pytest.mark.parametrize("kind", ["gaussian", "specials"])
@pytest.mark.parametrize("n", [0, 1, 31, 1001])
def test_adamw(backend: Backend, settings: dict[str, float], kind: str, n: int) -> None:
    scalars = {name: scalar.bits(number) for name, number in settings.items()}
    state = [patterns.normal(n, 60), patterns.gradient_like(n, 61), patterns.gradient_like(n, 62)]
    state.append(patterns.gradient_like(n, 63).abs())
    if kind == "specials":
        state = [patterns.sprinkled(x, 64 + i, 0.1) for i, x in enumerate(state)]
    law = [optimizers.adamw(words, **scalars) for words in zip(*map(to_words, state), strict=True)]
    grad = state[1].clone()
    backend.adamw_(*state, AdamWScalars(**scalars))
    for position, tensor in enumerate((state[0], state[2], state[3])):
        assert_same_bits(tensor, from_words([words[position] for words in law]))
    assert_same_bits(state[1], grad)


@pytest.mark.parametrize(
    ("target", "count"),
    [([], 0), ([0, 4, 2], 3), ([-7, 0, -7], 1), ([-7], 0), ([5], -1), ([-1, 0], -1), ([-7, 1 << 40], -1)],
)
def test_count_targets(backend: Backend, target: list[int], count: int) -> None:
    assert backend.count_targets(torch.tensor(target, dtype=torch.int64), 5, -7) == count
    assert backend.count_targets(torch.tensor(target, dtype=torch.int64).repeat_interleave(2)[::2], 5, -7) == count
