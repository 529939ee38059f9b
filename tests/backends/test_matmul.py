"""Matrix products of every backend and their exact derivatives, bit for bit (spec 6)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import prod

import pytest
import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.backends.reference_formats import shorten, widen
from mulfree.backends.select import named
from mulfree.numerics import rows, scalar
from tests.backends import patterns
from tests.backends.operations import OFFSETS
from tests.backends.patterns import assert_same_bits, from_words, to_words

Make = Callable[[int, int], Tensor]

DATA: dict[str, Make] = {
    "normal": patterns.normal,
    "activations": patterns.relu_like,
    "gradients": patterns.gradient_like,
    "wide": partial(patterns.log_uniform, low=-70, high=70),
    "wide with specials": lambda count, seed: patterns.sprinkled(patterns.log_uniform(count, seed), seed + 1),
    "underflowing": partial(patterns.log_uniform, low=-80, high=-50),
    "overflowing": partial(patterns.log_uniform, low=50, high=75),
    "random bits": patterns.random_bits,
}
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def tensor(data: str, seed: int, *shape: int) -> Tensor:
    return DATA[data](prod(shape), seed).view(shape)


def words_of(x: Tensor) -> list[list[int]]:
    """Rows of bits of the float32 numbers that ``x`` stands for; the widening has a test of its own."""
    return widen(x).tolist()


def dot_law(a: Tensor, b: Tensor, bias: Tensor | None = None, mantissa_bits: int = 23, offset: int = 0) -> Tensor:
    """Two-dimensional ``a @ b + bias``, entry by entry."""
    columns = words_of(b.mT)
    result = torch.tensor(
        [rows.dot(row, column, mantissa_bits, offset) for row in words_of(a) for column in columns], dtype=torch.int64
    ).view(a.shape[0], b.shape[1])
    if bias is not None:
        added = widen(bias).tolist()
        sums = [[scalar.add(entry, last) for entry, last in zip(row, added, strict=True)] for row in result.tolist()]
        result = torch.tensor(sums, dtype=torch.int64).view(result.shape)
    return shorten(result, a.dtype)


def dot_grad_law(p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int = 23, offset: int = 0) -> Tensor:
    q_rows = words_of(q)
    result = [
        rows.dot_grad(word, q_row, incoming, mantissa_bits, offset)
        for p_row, incoming in zip(words_of(p), words_of(grad), strict=True)
        for word, q_row in zip(p_row, q_rows, strict=True)
    ]
    return shorten(torch.tensor(result, dtype=torch.int64), p.dtype).view(p.shape)


@pytest.mark.parametrize("k", [0, 1, 2, 31, 255, 256, 257, 600])
@pytest.mark.parametrize("data", DATA)
def test_every_entry(backend: Backend, data: str, k: int) -> None:
    a, b = tensor(data, 1, 2, k), tensor(data, 2, k, 3)
    assert_same_bits(backend.matmul(a, b), dot_law(a, b))


@pytest.mark.parametrize("k", [0, 1, 2, 31, 255, 256, 257, 600])
@pytest.mark.parametrize("data", DATA)
def test_every_entry_of_the_exact_derivative(backend: Backend, data: str, k: int) -> None:
    p, q, grad = tensor(data, 3, 2, 3), tensor(data, 4, 3, k), tensor(data, 5, 2, k)
    assert_same_bits(backend.matmul_grad(p, q, grad), dot_grad_law(p, q, grad))


@cache
def _special_pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Special words against special words: the products, and the slopes that meet each incoming gradient."""
    specials, incoming = from_words(patterns.SPECIAL_WORDS), from_words(patterns.INCOMING_WORDS[2:9])
    products = dot_law(specials[:, None], specials[None, :])
    slopes = [dot_grad_law(specials[:, None], q.view(1, 1), g.expand(90, 1)) for g in incoming for q in specials]
    return incoming, products, torch.stack(slopes)


def test_pairs_of_special_words(backend: Backend) -> None:
    specials = from_words(patterns.SPECIAL_WORDS)
    incoming, products, slopes = _special_pairs()
    assert_same_bits(backend.matmul(specials[:, None], specials[None, :]), products)
    p = specials[:, None].expand(len(incoming) * len(specials), -1, 1)
    q = specials.repeat(len(incoming))[:, None, None]
    grad = incoming.repeat_interleave(len(specials))[:, None, None].expand(-1, len(specials), 1)
    assert_same_bits(backend.matmul_grad(p, q, grad), slopes)


@pytest.mark.parametrize("mantissa_bits", range(1, 24))
@pytest.mark.parametrize("offset", [0, *OFFSETS])
def test_narrowing_and_compensation(backend: Backend, mantissa_bits: int, offset: int) -> None:
    for data in ("normal", "wide with specials"):
        a, b, bias = tensor(data, 6, 2, 37), tensor(data, 7, 37, 2), tensor(data, 8, 2)
        assert_same_bits(backend.matmul(a, b, bias, mantissa_bits, offset), dot_law(a, b, bias, mantissa_bits, offset))
        p, q, grad = tensor(data, 9, 2, 2), tensor(data, 10, 2, 37), tensor(data, 11, 2, 37)
        assert_same_bits(
            backend.matmul_grad(p, q, grad, mantissa_bits, offset), dot_grad_law(p, q, grad, mantissa_bits, offset)
        )


@pytest.mark.parametrize("alpha", [2.0**-126, 2.0**-60, 0.25, 4.0, 2.0**60, 2.0**127, 1.75 * 2.0**127])
def test_compensation_far_from_one(backend: Backend, alpha: float) -> None:
    offset = scalar.compensation_offset(scalar.bits(alpha))
    for data in ("normal", "wide with specials"):
        a, b, grad = tensor(data, 12, 3, 40), tensor(data, 13, 40, 3), tensor(data, 14, 3, 3)
        assert_same_bits(backend.matmul(a, b, None, 23, offset), dot_law(a, b, None, 23, offset))
        assert_same_bits(backend.matmul_grad(a, b, grad, 23, offset), dot_grad_law(a, b, grad, 23, offset))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("data", ["normal", "gradients", "wide with specials"])
@pytest.mark.parametrize("mantissa_bits", [3, 23])
def test_short_formats(backend: Backend, dtype: torch.dtype, data: str, mantissa_bits: int) -> None:
    make = partial(tensor, data)
    a, b, bias = (x.to(dtype) for x in (make(15, 3, 270), make(16, 270, 4), make(17, 4)))
    assert_same_bits(backend.matmul(a, b, bias, mantissa_bits), dot_law(a, b, bias, mantissa_bits))
    assert_same_bits(backend.matmul(a, b), dot_law(a, b))
    grad = make(18, 3, 4).to(dtype)
    assert_same_bits(backend.matmul_grad(a, b, grad, mantissa_bits), dot_grad_law(a, b, grad, mantissa_bits))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_formats_widen_and_round_once(backend: Backend, dtype: torch.dtype) -> None:
    """x * 1 over all 2**16 words returns x: denormals of float16 are kept, those of bfloat16 count as zero."""
    x = torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(dtype)
    one = torch.ones(1, 1, dtype=dtype)
    bits = x.view(torch.int16).to(torch.int64) & 0xFFFF
    infinity, nan, least = (0x7C00, 0x7E00, 1) if dtype == torch.float16 else (0x7F80, 0x7FC0, 0x80)
    magnitude = bits & 0x7FFF
    expected = torch.where(magnitude > infinity, nan, torch.where(magnitude < least, 0, bits))
    got = backend.matmul(x[:, None], one)[:, 0].view(torch.int16).to(torch.int64) & 0xFFFF
    assert torch.equal(got, expected)


def test_rounding_to_short_formats(backend: Backend) -> None:
    """Halfway cases, the overflow threshold and float16's denormals, by hand."""
    cases = {
        torch.float16: [
            ((0x3C00, 0x1000), 0x3C00),  # 1 + 2**-11: a tie, to even
            ((0x3C01, 0x1000), 0x3C02),  # 1 + 2**-10 + 2**-11: a tie, to even
            ((0x3C00, 0x1001), 0x3C01),  # just above a tie
            ((0x7BFF, 0x4C00), 0x7C00),  # 65504 + 16: halfway past the largest number
            ((0x7BFF, 0x4BFF), 0x7BFF),
            ((0x0001, 0x0001), 0x0002),  # denormals are kept
            ((0x03FF, 0x8001), 0x03FE),
        ],
        torch.bfloat16: [
            ((0x3F80, 0x3B80), 0x3F80),  # 1 + 2**-8: a tie, to even
            ((0x3F81, 0x3B80), 0x3F82),
            ((0x3F80, 0x3B81), 0x3F81),
            ((0x7F7F, 0x7B00), 0x7F80),
            ((0x0081, 0x8080), 0x0000),  # flushed
        ],
    }
    for dtype, table in cases.items():
        for (left, right), expected in table:
            a = torch.tensor([[left, right]], dtype=torch.int32).to(torch.int16).view(dtype)
            got = backend.matmul(a, torch.ones(2, 1, dtype=dtype))
            assert int(got.view(torch.int16)) & 0xFFFF == expected, (dtype, hex(left), hex(right))


BATCHES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)),
    ((3,), ()),
    ((), (3,)),
    ((2, 1), (1, 3)),
    ((2, 3), (3,)),
    ((1,), (4,)),
    ((0,), (1,)),
    ((2, 1, 2), (3, 1)),
]


@pytest.mark.parametrize("batches", BATCHES, ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 7, 1), (9, 33, 17)], ids=str)
def test_batches(backend: Backend, batches: tuple[tuple[int, ...], tuple[int, ...]], shape: tuple[int, ...]) -> None:
    m, k, n = shape
    a, b = tensor("wide", 20, *batches[0], m, k), tensor("wide", 21, *batches[1], k, n)
    bias = tensor("normal", 22, n)
    batch = torch.broadcast_shapes(*batches)
    left, right = a.expand(*batch, m, k), b.expand(*batch, k, n)
    expected = torch.empty(*batch, m, n)
    flat = expected.view(-1, m, n)
    for i, (x, y) in enumerate(zip(left.reshape(-1, m, k), right.reshape(-1, k, n), strict=True)):
        flat[i] = named("reference").matmul(x.clone(), y.clone(), bias)
    got = backend.matmul(a, b, bias)
    assert got.is_contiguous()
    assert_same_bits(got, expected)
    assert_same_bits(backend.matmul(left, right, bias), expected)
    grad = tensor("wide", 23, *batch, m, n)
    slopes = backend.matmul_grad(left, right, grad)
    assert slopes.shape == (*batch, m, k)
    parts = (x.reshape(-1, *x.shape[-2:]) for x in (left, right, grad, slopes))
    for x, y, g, slope in list(zip(*parts, strict=True))[:3]:
        assert_same_bits(slope, named("reference").matmul_grad(x.clone(), y.clone(), g.clone()))


def _layouts(x: Tensor) -> list[Tensor]:
    """The same matrix with other strides."""
    rows_, columns = x.shape
    spaced = torch.full((2 * rows_, 3 * columns), float("nan"), dtype=x.dtype)[::2, ::3]
    padded = torch.full((rows_ + 2, columns + 5), float("nan"), dtype=x.dtype)[1:-1, 2:-3]
    turned = torch.full((columns, rows_), float("nan"), dtype=x.dtype).mT
    for view in (spaced, padded, turned):
        view.copy_(x)
    return [spaced, padded, turned]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(5, 7, 6), (18, 40, 35)], ids=str)
def test_strides(backend: Backend, dtype: torch.dtype, shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    a, b, grad = (tensor("wide with specials", 30 + i, *s).to(dtype) for i, s in enumerate([(m, k), (k, n), (m, n)]))
    bias = tensor("normal", 34, n).to(dtype)
    product, slope = named("reference").matmul(a, b, bias), named("reference").matmul_grad(a, b, grad)
    for left, right in zip(_layouts(a), _layouts(b), strict=True):
        assert_same_bits(backend.matmul(left, b, bias), product)
        assert_same_bits(backend.matmul(a, right, torch.stack([bias, bias], dim=1)[:, 0]), product)
        assert_same_bits(backend.matmul(left, right, bias), product)
        for incoming in _layouts(grad):
            assert_same_bits(backend.matmul_grad(left, right, incoming), slope)


def test_expanded_operands(backend: Backend) -> None:
    row, column = tensor("normal", 40, 1, 50), tensor("normal", 41, 50, 1)
    scalar_grad = tensor("normal", 42, 1, 1).expand(6, 7)
    a, b = row.expand(6, 50), column.expand(50, 7)
    assert_same_bits(backend.matmul(a, b), backend.matmul(a.contiguous(), b.contiguous()))
    assert_same_bits(backend.matmul(a, b)[:1, :1], dot_law(row, column))
    assert_same_bits(
        backend.matmul_grad(a, b, scalar_grad),
        backend.matmul_grad(a.contiguous(), b.contiguous(), scalar_grad.contiguous()),
    )


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 3, 0), (3, 0, 4), (0, 0, 0), (1, 0, 1)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_empty(backend: Backend, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    m, k, n = shape
    a, b, grad = (torch.ones(s, dtype=dtype) for s in ((2, m, k), (2, k, n), (2, m, n)))
    got = backend.matmul(a, b, torch.full((n,), 2.0, dtype=dtype))
    assert_same_bits(got, torch.full((2, m, n), 5.0 if k else 2.0, dtype=dtype))
    assert_same_bits(backend.matmul_grad(a, b, grad), torch.full((2, m, k), float(n), dtype=dtype))


def test_a_zero_total_is_positive_before_the_bias(backend: Backend) -> None:
    a, b = from_words([0x80000000, 0x80800000]).view(1, 2), from_words([0x3F800000, 0x3F000000]).view(2, 1)
    assert to_words(backend.matmul(a, b)) == [0]
    assert to_words(backend.matmul(a, b, from_words([0x80000000]))) == [0]


SIZES = [(1, 512, 100), (100, 512, 1), (17, 33, 19), (64, 64, 64), (67, 300, 45), (130, 520, 70), (3, 2000, 5)]


@cache
def _large(data: str, shape: tuple[int, int, int]) -> tuple[Tensor, ...]:
    m, k, n = shape
    a, b, grad = tensor(data, 50, m, k), tensor(data, 51, k, n), tensor(data, 52, m, n)
    reference = named("reference")
    return a, b, grad, reference.matmul(a, b, None, 23, OFFSETS[0]), reference.matmul_grad(a, b, grad, 23, OFFSETS[0])


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("data", DATA)
def test_kernels_on_larger_products(compiled: Backend, data: str, shape: tuple[int, int, int]) -> None:
    a, b, grad, product, slope = _large(data, shape)
    assert_same_bits(compiled.matmul(a, b, None, 23, OFFSETS[0]), product)
    assert_same_bits(compiled.matmul_grad(a, b, grad, 23, OFFSETS[0]), slope)
    by_b = compiled.matmul_grad(b.mT, a.mT, grad.mT, 23, OFFSETS[0])
    few = slice(0, 2)
    expected = named("reference").matmul_grad(b.mT[:, few], a.mT[few], grad.mT, 23, OFFSETS[0])
    assert_same_bits(by_b[:, few], expected)


@pytest.mark.parametrize("mantissa_bits", [1, 4, 10, 22])
def test_narrowing_special_words(backend: Backend, mantissa_bits: int) -> None:
    """Denormals are zeros before they could be rounded up to a normal number; the largest numbers round to infinity."""
    specials, one = from_words(patterns.SPECIAL_WORDS), torch.ones(1, 1)
    expected = from_words([scalar.narrow(word, mantissa_bits) for word in patterns.SPECIAL_WORDS])
    expected = torch.where(expected == 0, 0.0, expected)
    assert_same_bits(backend.matmul(specials[:, None], one, None, mantissa_bits)[:, 0], expected)
    assert_same_bits(backend.matmul_grad(one, one, specials[:, None, None], mantissa_bits)[:, 0, 0], expected)


@pytest.mark.parametrize("k", [0, 1, 300])
def test_special_words_as_bias(backend: Backend, k: int) -> None:
    bias = from_words(patterns.SPECIAL_WORDS)
    expected = from_words([scalar.add(0, word) for word in patterns.SPECIAL_WORDS])
    got = backend.matmul(torch.zeros(2, k), torch.ones(k, len(bias)), bias)
    assert_same_bits(got, expected.expand(2, -1))
