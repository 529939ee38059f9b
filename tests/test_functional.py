"""Shapes, dtypes, options and errors of the functions, against torch's.

Where a test compares numbers with torch, its data are powers of two, on which PAM and PAD are exact, or the
stated tolerance is the error of the PA operations: 12.5 % for one product, quotient, power or logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree.functional as MF
from mulfree.backends.contract import Backend
from mulfree.numerics import rows, scalar
from tests.ops.support import floats, same_bits, words


def powers(*shape: int, seed: int = 0) -> Tensor:
    """+-2**k with small k."""
    generator = torch.Generator().manual_seed(seed)
    exponents = torch.randint(-3, 4, shape, generator=generator)
    signs = torch.randint(0, 2, shape, generator=generator) * 2.0 - 1
    return signs * torch.exp2(exponents.float())


class TestElementwise:
    @pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 2)), ((0, 3), (3,))])
    def test_products_and_quotients_of_powers_of_two(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        a, b = (powers(*shape, seed=i) for i, shape in enumerate(shapes))
        assert same_bits(MF.mul(a, b), a * b)
        assert same_bits(MF.div(a, b), a / b)

    def test_numbers_as_operands(self) -> None:
        x = torch.tensor([1.5, -3.0])
        assert same_bits(MF.mul(x, 0.1), MF.mul(x, torch.tensor(0.1)))
        assert same_bits(MF.mul(0.1, x), MF.mul(x, 0.1))
        assert same_bits(MF.div(1, x), MF.div(torch.tensor(1.0), x))
        assert same_bits(MF.mul(x, math.inf), x * math.inf)
        assert same_bits(MF.mul(x.half(), 0.5), x.half() * 0.5)

    def test_compensation(self) -> None:
        assert MF.mul(torch.tensor(1.5), 1.5).item() == 2.0
        assert MF.mul(torch.tensor(1.5), 1.5, compensation=1.125).item() == 2.25

    @pytest.mark.parametrize("name", Backend.UNARY)
    def test_functions_are_the_law(self, name: str) -> None:
        law: Any = getattr(rows, name, None) or getattr(scalar, name)
        x = torch.tensor([0.0, -0.0, 1.0, 0.3, -0.3, 77.5, -200.0, math.inf, -math.inf, math.nan, 1e-40, 3e38])
        assert words(getattr(MF, name)(x)) == [law(word) for word in words(x)]

    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7, -1, -3])
    def test_whole_powers(self, exponent: int) -> None:
        x = powers(9)
        assert same_bits(MF.pow(x, exponent), x**exponent)

    def test_other_powers(self) -> None:
        x = torch.tensor([0.25, 1.0, 4.0, 16.0])
        assert same_bits(MF.pow(x, 0.5), MF.sqrt(x))
        assert same_bits(MF.pow(x, -0.5), MF.div(1.0, MF.sqrt(x)))
        assert same_bits(MF.pow(x, 1.5), x**1.5)
        assert same_bits(MF.pow(x, torch.full((4,), 2.0)), x**2)
        assert MF.pow(torch.tensor(-2.0), 1.5).isnan()

    def test_first_power_has_a_gradient_of_its_own(self) -> None:
        x = torch.tensor([3.0], requires_grad=True)
        y = MF.pow(x, 1)
        assert y is not x
        y.backward()
        assert x.grad == 1.0

    def test_half_precision_is_rounded_once(self) -> None:
        torch.manual_seed(0)
        for dtype in (torch.float16, torch.bfloat16):
            a, b = torch.randn(2, 500).to(dtype)
            assert same_bits(MF.mul(a, b), MF.mul(a.float(), b.float()).to(dtype))
            assert same_bits(MF.div(a, b), MF.div(a.float(), b.float()).to(dtype))
            assert same_bits(MF.gelu(a), MF.gelu(a.float()).to(dtype))
            assert same_bits(MF.softmax(a, 0), MF.softmax(a.float(), 0).to(dtype))
            assert same_bits(MF.sum(a), MF.sum(a.float()).to(dtype))


class TestSums:
    @pytest.mark.parametrize("dim", [None, 0, -1, (0, 2), (2, 0), [1], ()])
    @pytest.mark.parametrize("keepdim", [False, True])
    def test_shapes(self, dim: Any, keepdim: bool) -> None:
        x = torch.arange(24.0).reshape(2, 3, 4)
        assert same_bits(MF.sum(x, dim, keepdim), torch.sum(x, dim, keepdim))

    def test_order(self) -> None:
        torch.manual_seed(0)
        x = torch.randn(3000)
        assert words(MF.sum(x)) == [rows.total(words(x))]
        assert words(MF.mean(x)) == [rows.mean(words(x))]

    def test_without_dimensions_or_entries(self) -> None:
        assert MF.sum(torch.tensor(3.0)).item() == 3.0
        assert MF.sum(torch.tensor(3.0), 0).item() == 3.0
        assert MF.mean(torch.tensor(3.0)).item() == 3.0
        assert same_bits(MF.sum(torch.empty(0, 3), 0), torch.zeros(3))
        assert MF.mean(torch.empty(0)).isnan()

    def test_gradient(self) -> None:
        x = torch.ones(4, 8, requires_grad=True)
        MF.sum(MF.mean(x, 1)).backward()
        assert x.grad is not None
        assert same_bits(x.grad, torch.full((4, 8), 0.125))


class TestProducts:
    @pytest.mark.parametrize(
        "shapes",
        [
            ((3,), (3,)),
            ((3,), (3, 2)),
            ((4, 3), (3,)),
            ((4, 3), (3, 2)),
            ((2, 4, 3), (3, 2)),
            ((2, 4, 3), (3,)),
            ((3,), (2, 3, 5)),
            ((5, 1, 4, 3), (2, 3, 2)),
            ((2, 0, 3), (3, 2)),
            ((2, 3, 0), (0, 2)),
        ],
    )
    def test_shapes_of_matmul(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        a, b = (powers(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes))
        found, expected = MF.matmul(a, b), torch.matmul(a, b)
        assert same_bits(found, expected + 0.0)
        delta = powers(*expected.shape, seed=7)
        for mine, theirs in zip(
            torch.autograd.grad(found, (a, b), delta), torch.autograd.grad(expected, (a, b), delta), strict=True
        ):
            assert same_bits(mine, theirs + 0.0)

    @pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
    @pytest.mark.parametrize("derivative", ["approximate", "exact"])
    def test_linear(self, shape: tuple[int, ...], derivative: Any) -> None:
        inputs = [powers(*shape), powers(4, 3, seed=1), powers(4, seed=2)]
        mine, theirs = ([x.clone().requires_grad_() for x in inputs] for _ in range(2))
        found, expected = MF.linear(*mine, derivative=derivative), F.linear(*theirs)
        assert same_bits(found, expected + 0.0)
        delta = powers(*expected.shape, seed=7)
        for a, b in zip(
            torch.autograd.grad(found, mine, delta), torch.autograd.grad(expected, theirs, delta), strict=True
        ):
            assert same_bits(a, b + 0.0)
            assert a.is_contiguous()

    def test_narrow_operands(self) -> None:
        a, b = torch.tensor([[1.0 + 2**-5]]), torch.tensor([[1.0]])
        assert MF.matmul(a, b, mantissa_bits=4).item() == 1.0
        assert MF.matmul(a, b, mantissa_bits=5).item() == 1.0 + 2**-5


class TestRows:
    def test_every_dimension(self) -> None:
        torch.manual_seed(0)
        x = torch.randn(3, 4, 5)
        for dim in range(-3, 3):
            for function in (MF.softmax, MF.log_softmax):
                by_rows = function(x.movedim(dim, -1).reshape(-1, x.shape[dim]), 1)
                assert same_bits(function(x, dim), by_rows.view(x.movedim(dim, -1).shape).movedim(-1, dim).contiguous())
            assert MF.logsumexp(x, dim, keepdim=True).shape == torch.logsumexp(x, dim, keepdim=True).shape
            assert words(MF.logsumexp(x, dim)) == [
                rows.logsumexp(words(row)) for row in x.movedim(dim, -1).reshape(-1, x.shape[dim])
            ]
        assert same_bits(MF.logsumexp(x, (2, 0)), MF.logsumexp(x.movedim(1, 0).reshape(4, 15), 1))
        assert MF.logsumexp(x, (0, 2), keepdim=True).shape == (1, 4, 1)

    def test_special_rows(self) -> None:
        masked = torch.full((2, 3), -math.inf)
        assert MF.softmax(masked, 1).isnan().all()
        assert MF.log_softmax(masked, 1).isnan().all()
        assert same_bits(MF.logsumexp(masked, 1), torch.logsumexp(masked, 1))
        assert MF.softmax(torch.tensor(3.0), 0).item() == 1.0
        assert MF.softmax(torch.empty(0, 3), 1).shape == (0, 3)
        assert same_bits(MF.logsumexp(torch.empty(3, 0), 1), torch.full((3,), -math.inf))

    def test_close_to_torch(self) -> None:
        torch.manual_seed(0)
        x = torch.randn(50, 20)
        # The argument of exp2 is off by up to 11 %, so a probability by a factor of up to 2**(0.16 |x|).
        assert torch.allclose(MF.softmax(x, 1), F.softmax(x, 1), rtol=0.6)
        assert torch.allclose(MF.log_softmax(x, 1), F.log_softmax(x, 1), atol=0.3)
        assert torch.allclose(MF.layer_norm(x, (20,)), F.layer_norm(x, (20,)), atol=0.15)
        assert torch.allclose(MF.gelu(x), F.gelu(x), atol=0.05)

    @pytest.mark.parametrize("affine", ["both", "weight", "none"])
    @pytest.mark.parametrize("exact", [False, True])
    def test_layer_norm_is_the_law(self, affine: str, exact: bool) -> None:
        torch.manual_seed(0)
        x, delta = torch.randn(2, 2, 6, requires_grad=True), torch.randn(2, 2, 6)
        weight = torch.randn(6, requires_grad=True) if affine != "none" else None
        bias = torch.randn(6, requires_grad=True) if affine == "both" else None
        result = MF.layer_norm(x, (6,), weight, bias, 1e-3, derivative="exact" if exact else "approximate")
        w, b = (torch.tensor(default).expand(6) if t is None else t for t, default in ((weight, 1.0), (bias, 0.0)))
        expected = [rows.layer_norm(words(r), words(w), words(b), 1e-3) for r in x.view(4, 6)]
        assert words(result + 0.0) == words(floats([word for row in expected for word in row]) + 0.0)
        wanted = [t for t in (x, weight, bias) if t is not None]
        gradients = torch.autograd.grad(result, wanted, delta)
        law = [
            rows.layer_norm_grad(words(d), words(r), words(w), 1e-3, exact)
            for d, r in zip(delta.view(4, 6), x.view(4, 6), strict=True)
        ]
        assert words(gradients[0] + 0.0) == words(floats([word for by_row, _ in law for word in by_row]) + 0.0)
        if weight is not None:
            assert words(gradients[1]) == [rows.total(column) for column in zip(*(t for _, t in law), strict=True)]
        if bias is not None:
            assert same_bits(gradients[2], MF.sum(delta, (0, 1)))

    def test_layer_norm_over_several_dimensions(self) -> None:
        torch.manual_seed(0)
        x, weight = torch.randn(5, 2, 3), torch.randn(2, 3)
        flat = MF.layer_norm(x.view(5, 6), (6,), weight.view(6))
        assert same_bits(MF.layer_norm(x, (2, 3), weight), flat.view(5, 2, 3))


class TestLosses:
    @pytest.mark.parametrize("shape", [(6,), (4, 6), (4, 6, 3), (2, 6, 2, 2)])
    @pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_shapes_of_cross_entropy(self, shape: tuple[int, ...], reduction: Any, smoothing: float) -> None:
        torch.manual_seed(0)
        x = torch.randn(shape, requires_grad=True)
        target = torch.randint(0, 6, shape[:1] + shape[2:] if len(shape) > 1 else ())
        options = {"reduction": reduction, "label_smoothing": smoothing}
        found = MF.cross_entropy(x, target, derivative="approximate", **options)
        expected = F.cross_entropy(x, target, **options)
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=0.1, atol=0.3)
        (mine,), (theirs,) = (torch.autograd.grad(loss.sum(), x) for loss in (found, expected))
        assert F.cosine_similarity(mine.flatten(), theirs.flatten(), 0) > 0.95

    @pytest.mark.parametrize("derivative", ["approximate", "exact"])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_cross_entropy_is_the_law(self, smoothing: float, derivative: Any) -> None:
        torch.manual_seed(0)
        x, target, delta = (
            torch.randn(3, 5, requires_grad=True),
            torch.tensor([4, -1, 0]),
            torch.tensor([0.7, 1.0, -2.0]),
        )
        losses = MF.cross_entropy(
            x, target, ignore_index=-1, reduction="none", label_smoothing=smoothing, derivative=derivative
        )
        expected = [
            0 if t < 0 else rows.cross_entropy(words(row), t, smoothing)
            for row, t in zip(x, target.tolist(), strict=True)
        ]
        assert words(losses) == expected
        (by_x,) = torch.autograd.grad(losses, x, delta)
        for i, t in enumerate(target.tolist()):
            law = rows.cross_entropy_grad(words(delta[i])[0], words(x[i]), t, smoothing, derivative == "exact")
            assert words(by_x[i] + 0.0) == (words(torch.zeros(5)) if t < 0 else words(floats(law) + 0.0))

    def test_mean_counts_what_is_not_ignored(self) -> None:
        x, target = torch.zeros(4, 2), torch.tensor([0, -100, 1, -100])
        losses = MF.cross_entropy(x, target, reduction="none")
        assert losses[1] == 0.0
        assert same_bits(MF.cross_entropy(x, target), losses[0])
        assert MF.cross_entropy(x, torch.full((4,), -100)).isnan()

    def test_a_class_can_be_ignored(self) -> None:
        x, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
        losses = MF.cross_entropy(x, target, ignore_index=1, reduction="none")
        assert losses[1] == losses[3] == 0.0
        assert same_bits(MF.cross_entropy(x, target, ignore_index=1), MF.div(MF.sum(losses), 2.0))

    def test_mse_loss(self) -> None:
        a, b = torch.tensor([1.0, 2.0, 5.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 0.0])
        for reduction in ("none", "mean", "sum"):
            assert same_bits(MF.mse_loss(a, b, reduction=reduction), F.mse_loss(a, b, reduction=reduction))


X, HALF, WHOLE = torch.ones(2, 3), torch.ones(2, 3, dtype=torch.float16), torch.ones(2, 3, dtype=torch.int64)
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: MF.mul(X, X.double()), TypeError, r"mul.*'other'.*float32.*float64"),
    (lambda: MF.mul(WHOLE, 2.0), TypeError, r"mul.*'input'.*int64"),
    (lambda: MF.mul(X, HALF), TypeError, r"mul.*'other' must be float32 like 'input', got float16"),
    (lambda: MF.div(X, X.to(torch.complex64)), TypeError, "complex64"),
    (lambda: MF.mul(2.0, 3.0), TypeError, "must be a tensor"),
    (lambda: MF.mul(X, torch.ones(2, 2)), RuntimeError, "size|shape"),
    (lambda: MF.mul(X, X, compensation=-1.0), ValueError, "compensation"),
    (lambda: MF.mul(X, X, compensation=math.inf), ValueError, "compensation"),
    (lambda: MF.mul(X, X, derivative="analytic"), ValueError, "'approximate' or 'exact', got 'analytic'"),
    (lambda: MF.mul(X, X, derivative=("exact",)), ValueError, "pair"),
    (lambda: MF.exp2(X, derivative=("exact", "exact")), ValueError, "derivative"),
    (lambda: MF.exp(X.double()), TypeError, r"exp.*float64"),
    (lambda: MF.gelu(X, "sigmoid"), RuntimeError, "'none' or 'tanh'"),
    (lambda: MF.sum(X, 2), IndexError, "dim must be -2 to 1"),
    (lambda: MF.sum(X, (0, 0)), RuntimeError, "twice"),
    (lambda: MF.sum(WHOLE), TypeError, "int64"),
    (lambda: MF.matmul(X, X), RuntimeError, r"\(2, 3\) and \(2, 3\)"),
    (lambda: MF.matmul(X, torch.tensor(1.0)), RuntimeError, "at least one dimension"),
    (lambda: MF.matmul(X, X.mT, mantissa_bits=0), ValueError, "must be 1 to 23, or a pair of such numbers, got 0"),
    (lambda: MF.linear(X, torch.ones(4, 2)), RuntimeError, "in_features"),
    (lambda: MF.linear(X, torch.ones(4, 3), torch.ones(3)), RuntimeError, r"'bias' must be \(4,\), got \(3,\)"),
    (lambda: MF.linear(X, torch.ones(4, 3), torch.ones(4).half()), TypeError, "'bias' must be float32"),
    (lambda: MF.linear(X, torch.ones(4, 3, device="meta")), RuntimeError, "'weight' must be on cpu"),
    (lambda: MF.softmax(X, 2), IndexError, "dim"),
    (lambda: MF.softmax(WHOLE, 1), TypeError, "int64"),
    (lambda: MF.layer_norm(X, (2,)), RuntimeError, "normalized_shape"),
    (lambda: MF.layer_norm(X, (3,), torch.ones(2)), RuntimeError, "'weight'"),
    (lambda: MF.layer_norm(X, (3,), torch.ones(3), torch.ones(3).double()), TypeError, "'bias'"),
    (lambda: MF.cross_entropy(X, torch.tensor([0, 3])), IndexError, r"classes 0 to 2.*got 3"),
    (lambda: MF.cross_entropy(X, torch.tensor([-1, 0])), IndexError, "got -1"),
    (lambda: MF.cross_entropy(X, torch.tensor([0, 1], dtype=torch.int32)), TypeError, "int64"),
    (lambda: MF.cross_entropy(X, torch.tensor([0, 1]), torch.ones(2)), RuntimeError, r"'weight' must be \(3,\)"),
    (lambda: MF.cross_entropy(X, torch.tensor([0])), RuntimeError, r"'target' must be \(2,\).*got \(1,\)"),
    (lambda: MF.cross_entropy(X, torch.tensor([0, 1]), reduction="max"), ValueError, "reduction"),  # type: ignore[arg-type]
    (lambda: MF.cross_entropy(X, torch.tensor([0, 1]), label_smoothing=2.0), RuntimeError, "label_smoothing"),
    (lambda: MF.dropout(X, 1.5), ValueError, "between 0 and 1"),
    (
        lambda: MF.scaled_dot_product_attention(X, X, X, torch.ones(2, 2), is_causal=True),
        RuntimeError,
        "attn_mask must be None",
    ),
    (lambda: MF.scaled_dot_product_attention(X, X, X, torch.ones(2, 2).double()), TypeError, "float64"),
    (lambda: MF.scaled_dot_product_attention(X, X, X, enable_gqa=True), RuntimeError, "enable_gqa"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
