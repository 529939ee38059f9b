"""Losses and distances: against torch in float64, against the law on single numbers, and their derivatives."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree
import mulfree.functional as MF
from mulfree.numerics import base2, rows, scalar
from mulfree.numerics.formats import ONE
from mulfree.numerics.scalar import add, mul, negate
from tests.ops.support import floats, same_bits, words


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def signs(*shape: int, seed: int = 7) -> Tensor:
    return torch.where(normal(*shape, seed=seed) > 0, 1.0, -1.0)


def classes(*shape: int, seed: int = 5) -> Tensor:
    return torch.randint(0, 7, shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Case:
    """A call, the number of leading arguments that get a gradient, and the largest error relative to the loss.

    The error bound is that of the worst chain: 1/8 for each product, quotient, exponential or logarithm that the loss
    is made of one after the other, but where logarithms are subtracted it is relative to these, not to the result.
    """

    name: str
    arguments: Sequence[Any]
    options: dict[str, Any] = field(default_factory=dict)
    gradients: int = 1
    error: float = 0.25

    def __str__(self) -> str:
        return f"{self.name}-{'-'.join(self.options)}"


X, Y, LOGS = normal(6, 7), normal(6, 7, seed=1), torch.log_softmax(normal(6, 7), 1)
SOFT = torch.softmax(normal(6, 7, 2, seed=1), 1)
CASES = [
    Case("mse_loss", (X, Y), gradients=2),
    Case("mse_loss", (X, Y), {"weight": uniform(6, 7)}, gradients=2),
    Case("l1_loss", (X, Y), gradients=2),
    Case("l1_loss", (X, Y), {"weight": uniform(6, 7)}, gradients=2),
    Case("smooth_l1_loss", (X, Y), {"beta": 0.7}, gradients=2),
    Case("smooth_l1_loss", (X, Y), {"beta": 0.0}, gradients=2),
    Case("huber_loss", (X, Y), {"delta": 0.7}, gradients=2),
    Case("huber_loss", (X, Y), {"delta": 0.7, "weight": uniform(6, 7)}, gradients=2),
    Case("gaussian_nll_loss", (X, Y, uniform(6, 1) + 0.3), {"full": True}, gradients=3),
    Case("gaussian_nll_loss", (X, Y, uniform(6) + 0.3), gradients=3),
    Case("poisson_nll_loss", (X, classes(6, 7).float()), {"full": True}),
    Case("poisson_nll_loss", (uniform(6, 7) + 0.1, classes(6, 7).float()), {"log_input": False}),
    Case("soft_margin_loss", (X, signs(6, 7))),
    Case("hinge_embedding_loss", (X, signs(6, 7))),
    Case("margin_ranking_loss", (X[0], Y[0], signs(7)), {"margin": 0.3}, gradients=2),
    Case("cosine_embedding_loss", (X, Y, signs(6)), {"margin": 0.1}, gradients=2),
    Case("cosine_similarity", (X, Y), gradients=2),
    Case("pairwise_distance", (X, Y), gradients=2),
    Case("pairwise_distance", (X, Y), {"p": 1.0}, gradients=2),
    Case("pairwise_distance", (X, Y), {"p": math.inf, "keepdim": True}, gradients=2),
    Case("triplet_margin_loss", (X, Y, normal(6, 7, seed=2)), gradients=3),
    Case("triplet_margin_loss", (X, Y, normal(6, 7, seed=2)), {"swap": True}, gradients=3),
    Case("multi_margin_loss", (X, classes(6))),
    Case("multi_margin_loss", (X, classes(6)), {"p": 2, "weight": uniform(7)}),
    Case("binary_cross_entropy", (uniform(6, 7), uniform(6, 7, seed=1)), {"weight": uniform(7)}),
    Case("binary_cross_entropy_with_logits", (X, uniform(6, 7)), gradients=2),
    Case("binary_cross_entropy_with_logits", (X, uniform(6, 7)), {"weight": uniform(7), "pos_weight": uniform(7)}),
    Case("kl_div", (LOGS, torch.softmax(Y, 1)), error=0.5, gradients=2),
    Case("kl_div", (LOGS, torch.log_softmax(Y, 1)), {"log_target": True}, gradients=2),
    Case("nll_loss", (LOGS, classes(6))),
    Case("nll_loss", (normal(6, 7, 2, 3), classes(6, 2, 3)), {"weight": uniform(7), "ignore_index": 2}),
    Case("cross_entropy", (X, classes(6)), {"weight": uniform(7), "ignore_index": 2}),
    Case("cross_entropy", (X, classes(6)), {"weight": uniform(7), "ignore_index": 2, "label_smoothing": 0.2}),
    Case("cross_entropy", (X, torch.softmax(Y, 1)), gradients=2),
    Case(
        "cross_entropy",
        (normal(6, 7, 2), torch.softmax(normal(6, 7, 2, seed=1), 1)),
        {"label_smoothing": 0.2},
        gradients=2,
    ),
    Case("cross_entropy", (X[0], torch.softmax(Y[0], 0)), {"weight": uniform(7)}),
]
DERIVATIVES = ["approximate", "exact"]


def reductions(case: Case) -> list[dict[str, Any]]:
    if case.name in ("cosine_similarity", "pairwise_distance"):
        return [case.options]
    return [case.options | {"reduction": reduction} for reduction in ("none", "mean", "sum")]


def leaves(case: Case, dtype: torch.dtype) -> list[Any]:
    return [
        x.to(dtype).requires_grad_(i < case.gradients) if x.is_floating_point() else x
        for i, x in enumerate(x.clone() for x in case.arguments)
    ]


def converted(options: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    return {key: value.to(dtype) if isinstance(value, Tensor) else value for key, value in options.items()}


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_near_torch_and_free_of_multiplications(case: Case) -> None:
    for options in reductions(case):
        double = leaves(case, torch.float64)
        expected = getattr(F, case.name)(*double, **converted(options, torch.float64))
        wanted = torch.autograd.grad(expected.sum(), double[: case.gradients])
        for derivative in DERIVATIVES:
            single = leaves(case, torch.float32)
            with mulfree.audit() as audit:
                found = getattr(MF, case.name)(*single, **options, derivative=derivative)
                gradients = torch.autograd.grad(MF.sum(found), single[: case.gradients])
            assert audit.multiplications == 0, str(audit)
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= case.error * expected.abs().max()
            for mine, theirs in zip(gradients, wanted, strict=True):
                # Exact slopes are powers of two, each off by a factor of up to two.
                least = 0.97 if derivative == "approximate" else 0.6
                assert F.cosine_similarity(mine.double().flatten(), theirs.flatten(), 0) > least


@pytest.mark.parametrize("case", CASES, ids=str)
def test_half_precision_is_rounded_once(case: Case) -> None:
    for options in reductions(case):
        half = [x.bfloat16() if x.is_floating_point() else x for x in case.arguments]
        narrow = converted(options, torch.bfloat16)
        found = getattr(MF, case.name)(*half, **narrow)
        whole = [x.float() if x.is_floating_point() else x for x in half]
        expected = getattr(MF, case.name)(*whole, **converted(narrow, torch.float32))
        assert same_bits(found, expected.bfloat16())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_signatures_are_those_of_torch(case: Case) -> None:
    if case.name in ("cosine_similarity", "pairwise_distance"):  # builtins without a signature
        return
    mine, theirs = (inspect.signature(getattr(library, case.name)).parameters for library in (MF, F))
    assert list(mine) == [*theirs, "derivative"]
    for name, parameter in theirs.items():
        assert mine[name].default == parameter.default
    assert mine["derivative"].default == "exact"


SMOOTH = [case for case in CASES if case.name not in ("nll_loss", "cosine_embedding_loss")]


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_exact_derivative_is_the_slope_within_a_segment(case: Case) -> None:
    """Along one entry of the first argument; entries whose slopes left and right differ lie at a breakpoint.

    Differences over 2**-10 of losses of size s carry the rounding of the steps, some 2**-22 s / 2**-10.
    """
    x, *others = (a.clone() for a in case.arguments)
    x.requires_grad_()
    result = getattr(MF, case.name)(x, *others, **case.options, derivative="exact")
    (gradient,) = torch.autograd.grad(result.sum(), x)
    step, within = 2.0**-10, 0
    flat = x.detach().flatten()
    for i in range(0, flat.numel(), 3):
        values = []
        for offset in (-step, 0.0, step):
            moved = flat.clone()
            moved[i] += offset
            values.append(getattr(MF, case.name)(moved.view_as(x), *others, **case.options).double().sum())
        left, right = (values[1] - values[0]) / step, (values[2] - values[1]) / step
        noise = 2.0**-11 * (1 + float(values[1].abs()))
        if abs(left - right) > noise:
            continue
        within += 1
        assert abs(gradient.flatten()[i] - (left + right) / 2) <= 2 * noise
    assert within >= flat.numel() // 8


def law_of_softplus(x: int) -> int:
    distance = x & ~scalar.SIGN
    return add(0 if x & scalar.SIGN else x, rows.log(add(ONE, rows.exp(negate(distance)))))


LAWS: dict[str, Callable[[int, int], int]] = {
    "mse_loss": lambda x, y: mul(add(x, negate(y)), add(x, negate(y))),
    "poisson_nll_loss": lambda x, y: add(rows.exp(x), negate(mul(y, x))),
    "soft_margin_loss": lambda x, y: law_of_softplus(negate(mul(y, x))),
    "binary_cross_entropy_with_logits": lambda x, y: add(mul(add(ONE, negate(y)), x), law_of_softplus(negate(x))),
    "kl_div": lambda x, y: mul(y, add(rows.log(y), negate(x))),
}


@pytest.mark.parametrize("name", LAWS)
def test_compositions_are_the_written_ones(name: str) -> None:
    x, y = normal(50), uniform(50) + 0.01
    found = getattr(MF, name)(x, y, reduction="none")
    assert words(found) == [LAWS[name](a, b) for a, b in zip(words(x), words(y), strict=True)]
    assert words(getattr(MF, name)(x, y, reduction="sum")) == [rows.total(words(found))]
    assert words(getattr(MF, name)(x, y)) == [rows.mean(words(found))]


class TestClasses:
    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    def test_class_weights_are_the_law(self, smoothing: float) -> None:
        target, weight = classes(6), uniform(7)
        target[1] = -100
        found = MF.cross_entropy(X, target, weight, reduction="none", label_smoothing=smoothing)
        kept = []
        for row, t, loss in zip(X, target.tolist(), found, strict=True):
            if t < 0:
                assert words(loss) == [0]
                continue
            logs = [negate(log) for log in rows.log_softmax(words(row))]
            terms = [mul(a, b) for a, b in zip(logs, words(weight), strict=True)]
            expected = terms[t]
            if smoothing:
                by_target, by_class = rows.smoothing_weights(smoothing, 7)
                expected = add(mul(expected, by_target), mul(rows.total(terms), by_class))
            assert words(loss) == [expected]
            kept.append(t)
        mean = MF.cross_entropy(X, target, weight, label_smoothing=smoothing)
        assert same_bits(mean, MF.div(MF.sum(found), MF.sum(torch.where(target < 0, 0.0, weight[target.clamp(min=0)]))))

    def test_probabilities_are_the_law(self) -> None:
        wanted = torch.softmax(Y, 1)
        found = MF.cross_entropy(X, wanted, reduction="none")
        for row, y, loss in zip(X, wanted, found, strict=True):
            logs = [negate(log) for log in rows.log_softmax(words(row))]
            assert words(loss) == [rows.total([mul(a, b) for a, b in zip(logs, words(y), strict=True)])]
        assert same_bits(MF.cross_entropy(X, wanted), MF.div(MF.sum(found), 6.0))

    def test_ignored_rows_may_hold_anything(self) -> None:
        x, target = X.clone(), classes(6)
        x[1], x[2] = math.nan, -math.inf
        target[1:3] = -100
        for options in ({}, {"label_smoothing": 0.1}, {"label_smoothing": 0.1, "weight": uniform(7)}):
            for function in (MF.cross_entropy, MF.cross_entropy2):
                free = x.clone().requires_grad_()
                loss = function(free, target, **options)
                (gradient,) = torch.autograd.grad(loss, free)
                assert loss.isfinite()
                assert gradient.isfinite().all()
                assert (gradient[1:3] == 0).all()

    @pytest.mark.parametrize("function", [MF.cross_entropy, MF.nll_loss, MF.cross_entropy2])
    def test_empty_batches_and_nothing_kept(self, function: Callable[..., Tensor]) -> None:
        empty = function(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), reduction="none")
        assert empty.shape == (0,)
        assert function(torch.empty(0, 3), torch.empty(0, dtype=torch.int64)).isnan()
        assert function(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), reduction="sum") == 0
        assert function(X, torch.full((6,), -100)).isnan()

    def test_a_class_can_be_ignored(self) -> None:
        target = torch.tensor([0, 2, 1, 2, 6, 3])
        found = MF.nll_loss(LOGS, target, ignore_index=2, reduction="none")
        assert same_bits(found, torch.where(target == 2, 0.0, -LOGS[torch.arange(6), target]))
        assert same_bits(MF.nll_loss(LOGS, target, ignore_index=2), MF.div(MF.sum(found), 4.0))


class TestBase2:
    @pytest.mark.parametrize("exact", [False, True])
    @pytest.mark.parametrize("name", ["softmax2", "log_softmax2"])
    def test_is_the_law(self, name: str, exact: bool) -> None:
        special = torch.tensor([[-1e-40, -5.0, -math.inf], [-3e38, 3e38, 0.0], [math.nan, 1, 2], [math.inf, 1, 2]])
        for x in (3 * normal(4, 37), special, torch.full((2, 5), -math.inf), torch.full((2, 5), -3.4e38)):
            delta, free = normal(*x.shape, seed=3), x.clone().requires_grad_()
            result = getattr(MF, name)(free, 1, derivative="exact" if exact else "approximate")
            (gradient,) = torch.autograd.grad(result, free, delta)
            law, law_grad = getattr(base2, name), getattr(base2, f"{name}_grad")
            for row, d, y, g in zip(x, delta, result, gradient, strict=True):
                assert same_bits(y + 0.0, floats(law(words(row))) + 0.0)
                assert same_bits(g + 0.0, floats(law_grad(words(d), words(row), exact)) + 0.0)

    def test_near_powers_of_two(self) -> None:
        """paexp2 is at most 6.2 % too large, a PA quotient at most 1/8; palog2 off by less than 0.087."""
        probabilities = torch.softmax(X.double() * math.log(2), 1)
        found = MF.softmax2(X, 1)
        assert (found >= probabilities / 1.0625).all()
        assert (found <= probabilities * 1.0625 * 1.125).all()
        assert torch.allclose(MF.log_softmax2(X, 1).double(), torch.log2(probabilities), rtol=0, atol=0.18)
        loss = F.cross_entropy(X.double() * math.log(2), classes(6)) / math.log(2)
        assert abs(MF.cross_entropy2(X, classes(6)) - loss) < 0.18 + loss / 8

    def test_every_dimension_and_dtype(self) -> None:
        x = normal(2, 3, 4)
        for dim in range(-3, 3):
            turned = MF.softmax2(x.movedim(dim, -1), -1).movedim(-1, dim)
            assert same_bits(MF.softmax2(x, dim), turned.contiguous())
        assert MF.softmax2(torch.tensor(3.0), 0).item() == 1.0
        assert MF.log_softmax2(torch.empty(0, 3), 1).shape == (0, 3)
        assert MF.softmax2(torch.empty(3, 0), 1).shape == (3, 0)
        assert same_bits(MF.softmax2(x.half(), 1), MF.softmax2(x.half().float(), 1).half())

    def test_cross_entropy_is_a_composition(self) -> None:
        target = classes(6)
        losses = MF.cross_entropy2(X, target, reduction="none")
        assert same_bits(losses, -MF.log_softmax2(X, 1)[torch.arange(6), target])
        free, weight = X.clone().requires_grad_(), uniform(7)
        with mulfree.audit() as audit:
            MF.cross_entropy2(free, target, weight, label_smoothing=0.1).backward()
        assert audit.multiplications == 0


LOWEST = torch.finfo(torch.float32).min


class TestMasksWithTheLowestNumber:
    def test_a_row_masked_entirely_is_uniform(self) -> None:
        row = torch.full((2, 8), LOWEST, requires_grad=True)
        result = MF.softmax(row, 1)
        assert same_bits(result, F.softmax(row, 1))
        assert torch.autograd.grad(result, row, normal(2, 8))[0].isfinite().all()
        assert same_bits(MF.logsumexp(row, 1), torch.logsumexp(row, 1))
        assert same_bits(MF.log_softmax(row, 1), torch.zeros(2, 8))
        for smoothing in (0.0, 0.1):
            loss = MF.cross_entropy(row, torch.tensor([1, 2]), label_smoothing=smoothing)
            assert loss == 0
            assert torch.autograd.grad(loss, row)[0].isfinite().all()

    def test_masked_entries_get_nothing(self) -> None:
        x = normal(4, 9)
        x[:, ::3] = LOWEST
        infinite = x.masked_fill(x == LOWEST, -math.inf)
        assert same_bits(MF.softmax(x, 1), MF.softmax(infinite, 1))
        assert same_bits(MF.logsumexp(x, 1), MF.logsumexp(infinite, 1))
        assert MF.softmax(torch.full((3,), -math.inf), 0).isnan().all()


class TestSpecialCases:
    def test_binary_cross_entropy_clamps_logarithms(self) -> None:
        x = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.5], requires_grad=True)
        y = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
        loss = MF.binary_cross_entropy(x, y, reduction="none")
        assert torch.allclose(loss, F.binary_cross_entropy(x, y, reduction="none"), rtol=0.125)
        assert torch.autograd.grad(loss.sum(), x)[0].isfinite().all()

    def test_logits_far_out_and_at_zero(self) -> None:
        x = torch.tensor([1e4, -1e4, 0.0, 300.0], requires_grad=True)
        y = torch.tensor([0.0, 1.0, 0.25, 1.0])
        for derivative in DERIVATIVES:
            loss = MF.binary_cross_entropy_with_logits(x, y, reduction="none", derivative=derivative)
            assert torch.allclose(loss, F.binary_cross_entropy_with_logits(x, y, reduction="none"), rtol=0.125)
            (gradient,) = torch.autograd.grad(loss.sum(), x)
            assert gradient.isfinite().all()
            if derivative == "approximate":  # zero is a breakpoint of the exact one
                assert gradient[2] == pytest.approx(0.25, abs=0.25 / 4)

    @pytest.mark.parametrize("name", ["smooth_l1_loss", "huber_loss", "l1_loss"])
    def test_infinite_differences_have_finite_slopes(self, name: str) -> None:
        x = torch.tensor([math.inf, -math.inf, 0.0], requires_grad=True)
        loss = getattr(MF, name)(x, torch.zeros(3), reduction="none")
        assert same_bits(loss, torch.tensor([math.inf, math.inf, 0.0]))
        assert same_bits(torch.autograd.grad(loss, x, torch.ones(3))[0] + 0.0, torch.tensor([1.0, -1.0, 0.0]))

    def test_equal_vectors(self) -> None:
        x = normal(3, 5).requires_grad_()
        distance = MF.pairwise_distance(x, x.detach(), eps=0.0)
        assert same_bits(distance, torch.zeros(3))
        assert same_bits(torch.autograd.grad(distance.sum(), x)[0] + 0.0, torch.zeros(3, 5))
        zero = torch.zeros(2, 4, requires_grad=True)
        similarity = MF.cosine_similarity(zero, normal(2, 4))
        assert same_bits(similarity, torch.zeros(2))
        assert torch.autograd.grad(similarity.sum(), zero)[0].isfinite().all()

    @pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "soft_margin_loss", "kl_div"])
    def test_empty_and_special_values(self, name: str) -> None:
        nothing = torch.empty(0, 3)
        assert getattr(MF, name)(nothing, nothing).isnan()
        assert getattr(MF, name)(nothing, nothing, reduction="sum") == 0
        assert getattr(MF, name)(torch.tensor([math.nan]), torch.ones(1)).isnan()

    def test_divergence_per_batch(self) -> None:
        p = torch.softmax(Y, 1)
        assert same_bits(MF.kl_div(LOGS, p, reduction="batchmean"), MF.div(MF.kl_div(LOGS, p, reduction="sum"), 6.0))
        assert MF.kl_div(torch.zeros(2), torch.tensor([0.0, 1.0]), reduction="sum") == 0

    def test_broadcasting_warns_and_sums_in_order(self) -> None:
        y = normal(1, seed=9).requires_grad_()
        with pytest.warns(UserWarning, match="broadcast"):
            loss = MF.mse_loss(normal(3000), y, reduction="none", derivative="approximate")
        (gradient,) = torch.autograd.grad(loss, y, torch.ones(3000))
        d = normal(3000) - y.detach()
        assert same_bits(gradient, -MF.sum(d + d).view(1))


ONES = torch.ones(2, 3)
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: MF.mse_loss(ONES, ONES, size_average=True), ValueError, "'size_average' is deprecated"),  # type: ignore[arg-type]
    (lambda: MF.mse_loss(ONES, ONES, reduction="max"), ValueError, "reduction must be one of none, mean, sum"),  # type: ignore[arg-type]
    (lambda: MF.mse_loss(ONES, ONES.double()), TypeError, "'target' must be float32"),
    (lambda: MF.mse_loss(ONES, ONES, weight=torch.ones(3)), ValueError, r"'weight' must be \(2, 3\)"),
    (lambda: MF.l1_loss(ONES, ONES, derivative="true"), ValueError, "derivative"),  # type: ignore[arg-type]
    (lambda: MF.smooth_l1_loss(ONES, ONES, beta=-1.0), RuntimeError, "beta must not be negative, got -1"),
    (lambda: MF.huber_loss(ONES, ONES, delta=0.0), RuntimeError, "delta must be positive"),
    (lambda: MF.gaussian_nll_loss(ONES, ONES, -1.0), ValueError, "negative"),
    (lambda: MF.gaussian_nll_loss(ONES, ONES, torch.ones(5)), ValueError, "'var' must fit"),
    (lambda: MF.binary_cross_entropy(ONES + 1, ONES), RuntimeError, "between 0 and 1"),
    (lambda: MF.binary_cross_entropy(ONES, torch.ones(3)), ValueError, r"'target' must be \(2, 3\)"),
    (lambda: MF.binary_cross_entropy_with_logits(ONES, torch.ones(3)), ValueError, "'target'"),
    (lambda: MF.nll_loss(ONES, torch.tensor([0, 3])), IndexError, "classes 0 to 2.*got 3"),
    (lambda: MF.nll_loss(ONES, torch.tensor([0])), RuntimeError, r"'target' must be \(2,\)"),
    (lambda: MF.cross_entropy(ONES, torch.tensor([0, 1]), torch.ones(3, requires_grad=True)), RuntimeError, "weight"),
    (lambda: MF.cross_entropy(ONES, ONES.half()), TypeError, "'target' must be float32"),
    (lambda: MF.cross_entropy2(ONES, torch.tensor([0, 1]), label_smoothing=-0.1), RuntimeError, "label_smoothing"),
    (lambda: MF.multi_margin_loss(ONES, torch.tensor([0, 1]), p=3), ValueError, "p must be 1 or 2"),
    (lambda: MF.triplet_margin_loss(ONES, ONES, ONES, margin=0.0), ValueError, "margin"),
    (lambda: MF.pairwise_distance(ONES, ONES, p=-1.0), NotImplementedError, "p must not be negative"),
    (lambda: MF.cosine_embedding_loss(ONES, ONES, ONES), RuntimeError, "'target'"),
    (lambda: MF.softmax2(ONES, 2), IndexError, "dim"),
    (lambda: MF.log_softmax2(ONES.long(), 1), TypeError, "int64"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
