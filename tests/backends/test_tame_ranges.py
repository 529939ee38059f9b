"""Native row kernels at the edges of the ranges in which they take shortcuts, bit for bit with the reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import AdamWScalars, Backend
from mulfree.backends.select import named
from mulfree.numerics import scalar
from mulfree.numerics.formats import ONE, SIGN, STEP
from tests.backends.patterns import SPECIAL_WORDS, assert_same_bits, from_words, normal, to_words

EPS = 1e-5
IGNORE = -100

LIMITS = (-127, -90, -60, -48, -40, -30, -24, -20, 0, 20, 21, 30, 40, 60, 90, 100, 126)
"""Exponents of the limits that the kernels have, and some more."""


def _around(exponent: int) -> list[int]:
    middle = max(ONE + exponent * STEP, 1)
    return [middle - 1, middle, middle + 1, SIGN | middle - 1, SIGN | middle, SIGN | middle + 1]


EDGES = (*(word for exponent in LIMITS for word in _around(exponent)), *SPECIAL_WORDS)


def _with_edges(x: Tensor, seed: int) -> Tensor:
    """``x`` with one entry of every other row replaced by an edge, all edges in turn."""
    picks = from_words(EDGES).view(torch.int32)
    words = x.clone().view(torch.int32)
    generator = torch.Generator().manual_seed(seed)
    for row in range(0, len(x), 2):
        column = int(torch.randint(0, x.shape[1], (), generator=generator))
        words[row, column] = picks[(row // 2 + seed) % len(picks)]
    return words.view(torch.float32)


def _scaled(x: Tensor, exponents: Tensor) -> Tensor:
    """Each row of ``x`` times two to its exponent."""
    return torch.ldexp(x, exponents.view(-1, 1))


def _plain(n: int, seed: int) -> Tensor:
    return normal(2 * len(EDGES) * n, seed).view(-1, n)


def _exponents(count: int) -> Tensor:
    return torch.tensor(LIMITS).repeat(count // len(LIMITS) + 1)[:count]


def _some_zero(n: int, seed: int) -> Tensor:
    """Whole rows of zeros, rows with some, rows without."""
    x = _plain(n, seed)
    x[::3] = torch.where(x[::3] > 0.5, torch.zeros(()), x[::3])
    x[::5] = 0.0
    x[::10] = -0.0
    return x


def _each_alone(kernel: Callable[..., Tensor | tuple[Tensor, ...]], *operands: Tensor) -> Tensor:
    """The results of one row at a time: kernels take rows in groups and choose their shortcut for the whole group."""
    results = [kernel(*(x[row : row + 1] for x in operands)) for row in range(len(operands[0]))]
    return torch.cat([result if isinstance(result, Tensor) else result[0] for result in results])


KINDS: dict[str, Callable[[int, int], Tensor]] = {
    "ordinary": _plain,
    "edges": lambda n, seed: _with_edges(_plain(n, seed), seed),
    "scaled": lambda n, seed: _scaled(_plain(n, seed), _exponents(2 * len(EDGES))),
    "some zero": _some_zero,
}


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
@pytest.mark.parametrize("grads", KINDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [16, 21])
def test_softmax_and_losses(compiled: Backend, n: int, kind: str, grads: str, exact: bool) -> None:
    x, grad = KINDS[kind](n, 1), KINDS[grads](n, 2)
    column, target = grad[:, 0].contiguous(), torch.arange(len(x)) % n
    reference = named("reference")
    for name in ("softmax", "log_softmax", "logsumexp"):
        result, stats = getattr(reference, name)(x)
        got, got_stats = getattr(compiled, name)(x)
        assert_same_bits(got, result)
        assert_same_bits(got_stats, stats)
        incoming = column if name == "logsumexp" else grad
        expected = getattr(reference, f"{name}_grad")(incoming, x, stats, exact)
        forward, backward = getattr(compiled, name), getattr(compiled, f"{name}_grad")
        assert_same_bits(backward(incoming, x, stats, exact), expected)
        assert_same_bits(_each_alone(forward, x), result)
        assert_same_bits(_each_alone(partial(backward, exact=exact), incoming, x, stats), expected)
    for smoothing in (0.0, 0.1):
        loss, stats = reference.cross_entropy(x, target, IGNORE, smoothing)
        assert_same_bits(compiled.cross_entropy(x, target, IGNORE, smoothing)[0], loss)
        arguments = (column, x, target, stats, IGNORE, smoothing, exact)
        assert_same_bits(compiled.cross_entropy_grad(*arguments), reference.cross_entropy_grad(*arguments))


def _weights(n: int) -> dict[str, Tensor | None]:
    edges = from_words(EDGES)
    return {
        "none": None,
        "ordinary": normal(n, 5),
        "zero": torch.where(torch.arange(n) == 3, torch.zeros(()), normal(n, 5)),
        "small": torch.full((n,), 2.0**-20),
        "too small": torch.full((n,), 2.0**-21),
        "large": torch.full((n,), -(2.0**20 - 0.1)),
        "too large": torch.full((n,), 2.0**20),
        "edges": edges[torch.arange(n) * 7 % len(edges)],
    }


def _compare_layer_norm(compiled: Backend, x: Tensor, grad: Tensor, weight: Tensor | None, exact: bool) -> None:
    reference = named("reference")
    bias = None if weight is None else weight.flip(0).contiguous()
    result, stats = reference.layer_norm(x, weight, bias, EPS)
    got, got_stats = compiled.layer_norm(x, weight, bias, EPS)
    assert_same_bits(got, result)
    assert_same_bits(got_stats, stats)
    expected = reference.layer_norm_grad(grad, x, weight, stats, exact)
    for actual, wanted in zip(compiled.layer_norm_grad(grad, x, weight, stats, exact), expected, strict=True):
        assert_same_bits(actual, wanted)
    assert_same_bits(_each_alone(lambda row: compiled.layer_norm(row, weight, bias, EPS), x), result)
    alone = _each_alone(lambda g, row, stat: compiled.layer_norm_grad(g, row, weight, stat, exact), grad, x, stats)
    assert_same_bits(alone, expected[0])


GROUP = 16
"""At least as many rows as a kernel takes together."""


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
@pytest.mark.parametrize("grads", KINDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [16, 21])
def test_layer_norm(compiled: Backend, n: int, kind: str, grads: str, exact: bool) -> None:
    _compare_layer_norm(compiled, KINDS[kind](n, 1), KINDS[grads](n, 2), normal(n, 3), exact)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
@pytest.mark.parametrize("weight", list(_weights(16)))
def test_layer_norm_with_weights_at_the_limits(compiled: Backend, weight: str, exact: bool) -> None:
    x, grad = KINDS["scaled"](16, 1), KINDS["edges"](16, 2)
    _compare_layer_norm(compiled, x, grad, _weights(16)[weight], exact)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
def test_layer_norm_where_everything_is_at_a_limit(compiled: Backend, exact: bool) -> None:
    """Every product of limits of the row, the gradient and the weight that a row meets at once."""
    n = 8
    signs = torch.tensor([1.0, -1.0]).repeat(n // 2)
    for power in (-20, 20):
        exponents = torch.tensor([(x, g) for x in (-24, -20, -8, 8, 19, 20) for g in (-41, -40, 0, 19, 20)])
        ordinary = normal(len(exponents) * n, 7).view(-1, n)
        for x in (
            _scaled(signs + ordinary, exponents[:, 0]),
            _scaled(signs.expand(len(exponents), n), exponents[:, 0]),
        ):
            grad = _scaled(ordinary.flip(0), exponents[:, 1])
            weight = torch.ldexp(signs, torch.tensor(power))
            _compare_layer_norm(compiled, x.contiguous(), grad, weight, exact)
            groups = x.repeat_interleave(GROUP, 0), grad.repeat_interleave(GROUP, 0)
            _compare_layer_norm(compiled, *groups, weight, exact)


def test_layer_norm_centred_numbers_at_the_limit(compiled: Backend) -> None:
    """Numbers as near to the mean as the shortcut allows, nearer, and equal to it."""
    near = torch.tensor([0.0, 2.0**-25, 2.0**-24, 2.0**-23, 2.0**-22])
    x = torch.cat([torch.stack([near, -near], 1), torch.tensor([[1.0, -1.0]]).expand(5, 2)], 1).contiguous()
    for exact in (True, False):
        grad = normal(20, 8).view(5, 4)
        _compare_layer_norm(compiled, x, grad, normal(4, 9), exact)
        groups = x.repeat_interleave(GROUP, 0), grad.repeat_interleave(GROUP, 0)
        _compare_layer_norm(compiled, *groups, normal(4, 9), exact)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "approximate"])
@pytest.mark.parametrize("rows", [1, 15, 33, 1030])
@pytest.mark.parametrize("n", [1, 17, 64, 200, 1100])
def test_groups_of_every_size(compiled: Backend, n: int, rows: int, exact: bool) -> None:
    """Part of a group, more than a chunk of rows or columns, and a row that needs care among others that do not."""
    rows = min(rows, 33) if n > 200 else rows
    x, grad, reference = normal(rows * n, 1).view(rows, n), normal(rows * n, 2).view(rows, n), named("reference")
    x[rows // 2, n // 2] = float("inf")
    grad[rows // 3, n // 3] = 2.0**-100
    _compare_layer_norm(compiled, x, grad, normal(n, 3), exact)
    result, stats = reference.softmax(x)
    assert_same_bits(compiled.softmax(x)[0], result)
    assert_same_bits(compiled.softmax_grad(grad, x, stats, exact), reference.softmax_grad(grad, x, stats, exact))


SCALARS = {
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
    "decay": 1e-5,
    "correction1": 0.1,
    "correction2": 1e-3,
}


@pytest.mark.parametrize(
    "changes",
    [{}, {"decay": 0.0, "beta1": 0.0}, {"lr": 2.0**-41}, {"eps": 0.0}, {"lr": 2.0**-40, "eps": 2.0**-40}],
    ids=str,
)
def test_adamw(compiled: Backend, changes: dict[str, float]) -> None:
    scalars = AdamWScalars(**{name: scalar.bits(number) for name, number in {**SCALARS, **changes}.items()})
    edges = from_words(EDGES)
    count = len(edges)
    for place in range(4):
        state = [normal(8 * count, 10 + k) for k in range(4)]
        state[3] = state[3].abs()
        words = state[place].view(torch.int32)
        words[::8] = edges.view(torch.int32)
        expected = [x.clone() for x in state]
        named("reference").adamw_(expected[0], expected[1], expected[2], expected[3], scalars)
        compiled.adamw_(state[0], state[1], state[2], state[3], scalars)
        for actual, wanted in zip(state, expected, strict=True):
            assert_same_bits(actual, wanted)


def test_the_edges_are_edges() -> None:
    assert len(EDGES) == len(LIMITS) * 6 + len(SPECIAL_WORDS)
    assert all(0 <= word < 1 << 32 for word in EDGES)
    assert to_words(from_words(EDGES)) == list(EDGES)
