"""The numbers of ``audit.entries``, counted in the law itself: every call of its scalar operations."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mulfree.audit import Work
from mulfree.audit.entries import (
    AFFINE,
    CENTERED,
    ENTRIES,
    MOMENTUM,
    NESTEROV,
    PARAMETERS,
    ROWS,
    SMOOTHED,
    WEIGHT_DECAY,
)
from mulfree.numerics import norms, optimizers, rows, scalar
from mulfree.numerics.scalar import bits, negate

KINDS = {"mul": "products", "div": "quotients", "add": "additions", "exp2": "powers", "log2": "logarithms"}


class Counter:
    """Counts operations; one on operands that it has seen, in either order, is not computed again."""

    def __init__(self) -> None:
        self.seen: set[Any] = set()
        self.counts = dict.fromkeys(KINDS.values(), 0)

    def watch(self, name: str, function: Callable[..., int]) -> Callable[..., int]:
        def counted(*operands: int) -> int:
            # Doubling is a step of the exponent; a division is not symmetric.
            key = (name, *(operands if name == "div" else sorted(operands)))
            if key not in self.seen and not (name == "add" and operands[0] == operands[1]):
                self.seen.add(key)
                self.counts[KINDS[name]] += 1
            return function(*operands)

        return counted

    def total(self, row: list[int]) -> int:
        """The sum of a row counts one addition a term; its value need not be that of the law."""
        key = ("total", tuple(row))
        if key not in self.seen:
            self.seen.add(key)
            self.counts["additions"] += len(row)
        return bits(sum(map(scalar.value, row)))

    def taken(self) -> Work:
        found = Work(**self.counts)
        self.counts = dict.fromkeys(self.counts, 0)
        return found


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    found = Counter()
    for name in KINDS:
        watched = found.watch(name, getattr(scalar, name))
        for module in (scalar, rows, norms, optimizers):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, watched)
    monkeypatch.setattr(rows, "total", found.total)
    monkeypatch.setattr(optimizers, "sqrt", rows.sqrt)
    yield found


def numbers(count: int, seed: int = 0) -> list[int]:
    """Different numbers, none of which is a power of two."""
    draw = random.Random(seed)
    return [bits(draw.uniform(0.3, 1.9)) for _ in range(count)]


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sigmoid", "silu", "tanh", "gelu"])
def test_entries(name: str, counter: Counter) -> None:
    x, grad = numbers(2)
    getattr(rows, name)(x)
    assert counter.taken() == replace(ENTRIES[name], replaced=0)
    counter.seen.clear()
    getattr(rows, f"{name}_grad")(grad, x, False)
    unneeded = Work(logarithms=1) if name == "log" else Work()  # only the exact derivative uses it
    assert counter.taken() == replace(ENTRIES[f"{name}_grad"], replaced=0) + unneeded


@pytest.mark.parametrize("name", ["exp2_grad", "log2_grad", "div_grad_denominator"])
def test_derivatives(name: str, counter: Counter) -> None:
    getattr(scalar, f"{name}_approximate")(*numbers(3 if name.startswith("div") else 2))
    assert counter.taken() == replace(ENTRIES[name], replaced=0)


def row_case(name: str, size: int) -> Callable[[], object]:
    row, grad, weight, bias = (numbers(size, seed) for seed in range(4))
    cases = {
        "softmax": lambda: rows.softmax(row),
        "softmax_grad": lambda: rows.softmax_grad(grad, row, False),
        "log_softmax": lambda: rows.log_softmax(row),
        "log_softmax_grad": lambda: rows.log_softmax_grad(grad, row, False),
        "logsumexp": lambda: rows.logsumexp(row),
        "logsumexp_grad": lambda: rows.logsumexp_grad(grad[0], row, False),
        "cross_entropy": lambda: rows.cross_entropy(row, 0, 0.0),
        "cross_entropy_grad": lambda: rows.cross_entropy_grad(grad[0], row, 0, 0.0, False),
        "smoothed": lambda: rows.cross_entropy(row, 0, 0.1),
        "layer_norm": lambda: rows.layer_norm(row, weight, bias, 1e-5),
        "layer_norm_grad": lambda: [
            rows.total(terms) for terms in (rows.layer_norm_grad(grad, row, weight, 1e-5, False)[1], grad)
        ],
        "batch_norm": lambda: norms.batch_norm(row, weight[0], bias[0], 1e-5),
        "batch_norm_grad": lambda: norms.batch_norm_grad(grad, row, weight[0], 1e-5, False),
    }
    return cases[name]


def row_work(name: str) -> tuple[Work, Work]:
    if name == "smoothed":
        (entry, row), (more, once) = ROWS["cross_entropy"], SMOOTHED
        return entry + more, row + once
    name = name.replace("batch", "layer")
    entry, row = ROWS[name]
    return entry + AFFINE.get(name, Work()), row


@pytest.mark.parametrize("name", [*ROWS, "smoothed", "batch_norm", "batch_norm_grad"])
def test_rows(name: str, counter: Counter) -> None:
    """Two lengths tell the work of an entry from that of a row."""
    found = []
    for size in (5, 8):
        counter.seen.clear()
        rows.smoothing_weights(0.1, size)  # settings are computed once
        counter.taken()
        row_case(name, size)()
        found.append(counter.taken())
    entry, row = row_work(name)
    assert found == [replace(entry.times(size) + row, replaced=0) for size in (5, 8)]


def step_case(name: str) -> tuple[Callable[[list[int]], object], Work]:
    lr, one, two, wd, penalty, eps, c1, c2 = numbers(8, 9)
    betas = {"beta1": one, "beta2": two}
    adam = {"lr": lr, **betas, "eps": eps, "correction1": c1, "correction2": c2}
    sgd, rmsprop = PARAMETERS["sgd_"], PARAMETERS["rmsprop_"]

    def adams(weight_decay: int, amsgrad: bool) -> Callable[[list[int]], object]:
        return lambda s: optimizers.adam(tuple(s), **adam, decay=wd, weight_decay=weight_decay, amsgrad=amsgrad)

    def sgds(momentum: int, weight_decay: int, nesterov: bool) -> Callable[[list[int]], object]:
        how = SimpleNamespace(lr=lr, momentum=momentum, rest=two, weight_decay=weight_decay, nesterov=nesterov)
        return lambda s: optimizers.sgd(tuple(s[:3]), **vars(how))

    def rmsprops(momentum: int, centered: bool) -> Callable[[list[int]], object]:
        how = SimpleNamespace(lr=lr, alpha=one, eps=eps, weight_decay=0, momentum=momentum, centered=centered)
        return lambda s: optimizers.rmsprop(tuple(s), **vars(how))

    cases: dict[str, tuple[Callable[[list[int]], object], Work]] = {
        "adamw": (lambda s: optimizers.adamw(tuple(s[:4]), **adam, decay=wd), PARAMETERS["adamw_"]),
        "adam": (adams(0, False), PARAMETERS["adam_"]),
        "adam with a penalty": (adams(penalty, False), PARAMETERS["adam_"] + WEIGHT_DECAY),
        "amsgrad": (adams(0, True), PARAMETERS["adam_"]),
        "sgd": (sgds(0, 0, False), sgd),
        "momentum": (sgds(one, 0, False), sgd + MOMENTUM["sgd_"]),
        "nesterov": (sgds(one, wd, True), sgd + MOMENTUM["sgd_"] + NESTEROV + WEIGHT_DECAY),
        "rmsprop": (rmsprops(0, False), rmsprop),
        "centered": (rmsprops(one, True), rmsprop + CENTERED + MOMENTUM["rmsprop_"]),
        "lion": (lambda s: optimizers.lion(tuple(s[:3]), lr=lr, **betas, decay=wd), PARAMETERS["lion_"]),
        "average": (lambda s: optimizers.moving_average(s[0], s[1], lr), PARAMETERS["moving_average_"]),
    }
    return cases[name]


STEPS = ("adamw", "adam", "adam with a penalty", "amsgrad", "sgd", "momentum", "nesterov", "rmsprop", "centered",
         "lion", "average")  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str, counter: Counter) -> None:
    """Of the second of two parameters: what both share, such as 1 - beta, is computed once."""
    step, expected = step_case(name)
    step(numbers(5, 1))
    counter.taken()
    param, grad, average, *others = numbers(5, 2)
    step([param, negate(grad), negate(average), *others])  # Lion's direction is another one
    assert counter.taken() == replace(expected, replaced=0)
