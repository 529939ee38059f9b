"""Embedding, interpolation and the bilinear form against torch and against independent forms."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree
import mulfree.functional as MF
from mulfree.numerics import ratios, scalar
from tests.ops.support import same_bits

DERIVATIVES = ["approximate", "exact"]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(seed)).float()


def by_argument(function: Callable[..., Tensor], x: Tensor, *arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """The result, and the gradient by ``x`` of its sum with whole weights; no multiplication in either."""
    free = x.clone().requires_grad_()
    delta = whole(*function(x, *arguments, **options).shape, seed=11)
    with mulfree.audit() as audit:
        result = function(free, *arguments, **options)
        (gradient,) = torch.autograd.grad(result, free, delta)
    if function.__module__.startswith("mulfree"):
        assert audit.multiplications == 0, str(audit)
    return result.detach(), gradient


class TestEmbedding:
    INDICES = torch.tensor([[1, 5, 1, 0], [2, 1, 5, 1]])

    def test_lookups_are_torchs(self) -> None:
        for options in ({}, {"padding_idx": 1}, {"padding_idx": -1}):
            mine, theirs = (
                by_argument(lambda w, f=f, o=options: f(self.INDICES, w, **o), whole(6, 3))
                for f in (MF.embedding, F.embedding)
            )
            assert same_bits(mine[0], theirs[0])
            assert same_bits(mine[1] + 0.0, theirs[1] + 0.0)
        weight = whole(6, 3).requires_grad_()
        MF.embedding(self.INDICES, weight, sparse=True).sum().backward()
        assert weight.grad is not None
        assert weight.grad.is_sparse

    def test_frequency_divides_the_gradient(self) -> None:
        """Frequencies that are powers of two divide exactly."""
        weight = whole(6, 3).requires_grad_()
        indices = torch.tensor([1, 5, 1, 0, 1, 1, 5])
        delta = 4 * whole(7, 3, seed=1)
        found, expected = (
            torch.autograd.grad(library.embedding(indices, weight, scale_grad_by_freq=True), weight, delta)[0]
            for library in (MF, F)
        )
        assert same_bits(found + 0.0, expected + 0.0)
        with mulfree.audit() as audit:
            MF.embedding(indices, weight, scale_grad_by_freq=True).sum().backward()
        assert audit.multiplications == 0

    @pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
    def test_long_rows_are_shortened_in_place(self, norm_type: float) -> None:
        mine, theirs = 3 * normal(6, 4), 3 * normal(6, 4)
        with mulfree.audit() as audit:
            found = MF.embedding(self.INDICES, mine, max_norm=2.0, norm_type=norm_type)
        assert audit.multiplications == 0, str(audit)
        expected = F.embedding(self.INDICES, theirs, max_norm=2.0, norm_type=norm_type)
        assert torch.allclose(found, expected, rtol=0.3)  # a norm (products, root), a quotient and a product
        assert same_bits(mine[3:5], (3 * normal(6, 4))[3:5])  # rows that are not read

    @pytest.mark.parametrize("mode", ["sum", "mean", "max"])
    @pytest.mark.parametrize("padding_idx", [None, 1])
    def test_bags(self, mode: str, padding_idx: int | None) -> None:
        flat, offsets = self.INDICES.flatten(), torch.tensor([0, 3, 3, 7])
        calls: list[tuple[Tensor, Tensor | None, dict[str, Any]]] = [
            (self.INDICES, None, {}),
            (flat, offsets, {}),
            (flat, torch.tensor([0, 2, 8]), {"include_last_offset": True}),
        ]
        for indices, starts, further in calls:
            options = further | {"mode": mode, "padding_idx": padding_idx}
            weight = 12 * whole(6, 3) + torch.arange(6.0).unsqueeze(1)
            mine, theirs = (
                by_argument(lambda w, f=f: f(indices, w, starts, **options), weight)  # noqa: B023
                for f in (MF.embedding_bag, F.embedding_bag)
            )
            assert torch.allclose(mine[0], theirs[0], rtol=0.125 if mode == "mean" else 0)
            assert torch.allclose(mine[1], theirs[1], rtol=0.125 if mode == "mean" else 0, atol=0.6)

    def test_weighted_bags_and_empty_ones(self) -> None:
        factors = torch.tensor([[1.0, 2.0, 0.5, -1.0], [4.0, 1.0, 1.0, -2.0]]).requires_grad_()
        for derivative in DERIVATIVES:
            found = MF.embedding_bag(
                self.INDICES, whole(6, 3), mode="sum", per_sample_weights=factors, derivative=derivative
            )
            expected = F.embedding_bag(self.INDICES, whole(6, 3), mode="sum", per_sample_weights=factors)
            assert same_bits(found, expected)
            assert torch.autograd.grad(found.sum(), factors)[0].shape == factors.shape
        weight = whole(6, 3).requires_grad_()
        nothing = MF.embedding_bag(torch.empty(0, dtype=torch.int64), weight, torch.tensor([0, 0]))
        assert same_bits(nothing, torch.zeros(2, 3))
        assert torch.autograd.grad(nothing.sum(), weight)[0].abs().sum() == 0


LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
RESIZES: list[dict[str, Any]] = [
    {"scale_factor": 2.0},
    {"scale_factor": 0.6},
    {"scale_factor": 1 / 3},
    {"scale_factor": 0.1},
    {"size": 17},
    {"size": 4},
    {"scale_factor": 1.7, "recompute_scale_factor": True},
]


class TestInterpolation:
    @pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_nearest_reads_what_torch_reads(self, mode: str, ndim: int) -> None:
        x = whole(2, 3, *(13, 12, 11)[:ndim])
        for options in RESIZES:
            mine, theirs = (by_argument(f, x, **options, mode=mode) for f in (MF.interpolate, F.interpolate))
            assert same_bits(mine[0], theirs[0])
            assert same_bits(mine[1], theirs[1] + 0.0)

    @pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
    def test_positions_of_many_sizes(self, mode: str) -> None:
        for size in (1, 2, 3, 7, 10, 28, 49, 100):
            x = torch.arange(float(size)).view(1, 1, size)
            for count in (1, 2, 3, 5, 14, 31, 49, 98, 200, 333):
                assert same_bits(MF.interpolate(x, count, mode=mode), F.interpolate(x, count, mode=mode))
            for factor in (0.3, 0.7, 1.1, 1.5, 2.3, 3.0, 7.7):
                if int(size * factor):
                    options = {"scale_factor": factor, "mode": mode}
                    assert same_bits(MF.interpolate(x, **options), F.interpolate(x, **options))

    @pytest.mark.parametrize("align_corners", [None, False, True])
    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_linear(self, ndim: int, align_corners: bool | None) -> None:
        x = normal(2, 3, *(13, 12, 11)[:ndim])
        for resize in RESIZES:
            options = resize | {"mode": LINEAR[ndim], "align_corners": align_corners}
            expected = F.interpolate(x.double(), **options)
            for derivative in DERIVATIVES:
                found, gradient = by_argument(MF.interpolate, x, **options, derivative=derivative)
                assert found.shape == expected.shape
                # Each product is at most 1/9 too small, of a difference of neighbours (at most 2 max |x|), and there
                # is one a dimension.
                assert (found - expected).abs().max() <= ndim * 2 / 9 * x.abs().max()
                theirs = by_argument(F.interpolate, x, **options)[1]
                # Exact slopes are powers of two, each off by a factor of up to two.
                least = 0.97 if derivative == "approximate" else 0.8
                assert F.cosine_similarity(gradient.flatten(), theirs.flatten(), 0) > least

    def test_powers_of_two_and_constants_are_exact(self) -> None:
        x = whole(1, 2, 4, 4)
        steps = {"size": (7, 7), "mode": "bilinear", "align_corners": True}  # weights 0 and 1/2
        assert same_bits(MF.interpolate(x, **steps), F.interpolate(x, **steps) + 0.0)
        constant = torch.full((1, 1, 5, 6), 1.3)
        assert same_bits(MF.interpolate(constant, scale_factor=2.7, mode="bilinear"), torch.full((1, 1, 13, 16), 1.3))

    def test_areas_upsample_and_half_precision(self) -> None:
        x = normal(2, 3, 9, 7)
        assert same_bits(MF.interpolate(x, (4, 3), mode="area"), MF.adaptive_avg_pool2d(x, (4, 3)))
        assert same_bits(MF.upsample(x, scale_factor=2), F.interpolate(x, scale_factor=2))
        half = MF.interpolate(x.half(), scale_factor=1.7, mode="bilinear")
        assert same_bits(half, MF.interpolate(x.half().float(), scale_factor=1.7, mode="bilinear").half())
        odd = torch.tensor([[[-0.0, 1e-40, math.nan, math.inf]]])
        assert same_bits(MF.interpolate(odd, 8), F.interpolate(odd, 8))

    def test_signatures_are_those_of_torch(self) -> None:
        for name in ("interpolate", "upsample", "embedding_bag"):
            mine, theirs = (inspect.signature(getattr(library, name)).parameters for library in (MF, F))
            assert list(mine) == [*theirs, "derivative"]
        assert list(inspect.signature(MF.embedding).parameters) == list(inspect.signature(F.embedding).parameters)


@pytest.mark.parametrize("bits", [24, 53])
def test_ratios_are_rounded_to_the_nearest(bits: int) -> None:
    for numerator in (1, 2, 3, 7, 10, 2**24 + 1, 2**25 + 3, 10**12 + 1):
        for denominator in (1, 3, 7, 49, 1000, 2**30 + 1):
            found, power = ratios.rounded(numerator, denominator, bits)
            expected = numerator / denominator  # Python's quotient of integers is the nearest binary64 number
            if bits == 24:
                assert abs(found / power - expected) <= 2.0**-24 * expected
                spare = max(0, found.bit_length() - 24)
                assert found >> spare << spare == found
            else:
                assert found / power == expected
    assert ratios.rounded(0, 5, 24) == (0, 1)
    assert ratios.rounded(2**24 + 1, 2, 24) == (2**23, 1)
    assert ratios.word(1, 3) == scalar.bits(1 / 3)
    assert ratios.word(0, 3) == 0


@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_bilinear_form(derivative: Any) -> None:
    powers = [torch.exp2(whole(*shape, seed=i)) for i, shape in enumerate([(4, 5, 3), (4, 5, 2), (6, 3, 2)])]
    operands = [*powers, whole(6, seed=3)]
    mine, theirs = ([x.clone().requires_grad_() for x in operands] for _ in range(2))
    with mulfree.audit() as audit:
        found = MF.bilinear(*mine, derivative=derivative)
        MF.sum(found).backward()
    assert audit.multiplications == 0, str(audit)
    expected = F.bilinear(*theirs)
    expected.sum().backward()
    assert torch.allclose(found, expected, rtol=0.125)
    for a, b in zip(mine, theirs, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert F.cosine_similarity(a.grad.flatten(), b.grad.flatten(), 0) > 0.9
    assert MF.bilinear(*powers).shape == (4, 5, 6)


TABLE, IMAGE = torch.ones(6, 3), torch.ones(1, 1, 4, 4)
FLAT = torch.tensor([0, 1])
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: MF.embedding(FLAT, TABLE.double()), TypeError, "'weight'.*float64"),
    (lambda: MF.embedding(torch.tensor([6]), TABLE), IndexError, "range"),
    (lambda: MF.embedding(FLAT, TABLE, scale_grad_by_freq=True, sparse=True), RuntimeError, "sparse"),
    (lambda: MF.embedding_bag(FLAT, TABLE), ValueError, "'offsets'"),
    (lambda: MF.embedding_bag(FLAT, TABLE, torch.tensor([1])), ValueError, "ascend from 0"),
    (lambda: MF.embedding_bag(FLAT, TABLE, FLAT, mode="min"), ValueError, "mode"),  # type: ignore[arg-type]
    (lambda: MF.embedding_bag(FLAT, TABLE, FLAT, per_sample_weights=torch.ones(2)), NotImplementedError, "'sum'"),
    (lambda: MF.interpolate(IMAGE, 2, mode="bicubic"), NotImplementedError, "'bicubic' is not supported"),
    (lambda: MF.interpolate(IMAGE, 2, mode="linear"), NotImplementedError, "4 dimensions"),
    (lambda: MF.interpolate(IMAGE, 2, align_corners=True), ValueError, "align_corners"),
    (lambda: MF.interpolate(IMAGE), ValueError, "exactly one of size and scale_factor"),
    (lambda: MF.interpolate(IMAGE, (2, 2, 2)), ValueError, "size must be one number or 2"),
    (lambda: MF.interpolate(IMAGE, scale_factor=0.1), RuntimeError, "sizes must be positive"),
    (lambda: MF.interpolate(IMAGE.double(), 2), TypeError, "float64"),
    (lambda: MF.bilinear(TABLE, TABLE, torch.ones(2, 3, 4)), RuntimeError, "inputs must be"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
