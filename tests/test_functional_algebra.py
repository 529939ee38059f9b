"""Products of vectors and matrices: torch's shapes and values up to PAM's error, the law's bits, torch's errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import mulfree as mf
import mulfree.functional as MF
from mulfree.numerics import rows, scalar
from tests.ops.support import floats, same_bits, words


def positive(*shape: int) -> Tensor:
    """Numbers in [0.5, 1.5]: sums of products have a relative error bounded by that of a product."""
    generator = torch.Generator().manual_seed(sum(shape) + len(shape))
    return (torch.rand(shape, generator=generator) + 0.5).requires_grad_()


p = positive
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("mm", (p(3, 4), p(4, 5)), {}),
    ("bmm", (p(2, 3, 4), p(2, 4, 5)), {}),
    ("bmm", (p(0, 3, 4), p(0, 4, 5)), {}),
    ("mv", (p(3, 4), p(4)), {}),
    ("dot", (p(4), p(4) + 1), {}),
    ("vdot", (p(4), p(4)), {}),
    ("inner", (p(2, 3, 4), p(5, 4)), {}),
    ("inner", (p(), p(5, 4)), {}),
    ("outer", (p(3), p(4)), {}),
    ("ger", (p(3), p(4)), {}),
    ("kron", (p(2, 3), p(4, 5)), {}),
    ("kron", (p(2, 3), p(4)), {}),
    ("kron", (p(), p(2, 2)), {}),
    ("tensordot", (p(2, 3, 4), p(3, 4, 5)), {}),
    ("tensordot", (p(2), p(3), 0), {}),
    ("tensordot", (p(2, 3, 4), p(4, 3, 5)), {"dims": ([1, 2], [1, 0])}),
    ("tensordot", (p(2, 3, 4), p(4, 3, 5)), {"dims": torch.tensor([[1, 2], [1, 0]])}),
    ("tensordot", (p(2, 3, 1), p(3, 4, 5)), {}),
    ("tensordot", (p(3, 0), p(0, 2), 1), {}),
    ("chain_matmul", (p(2, 3), p(3, 4), p(4, 5)), {}),
    ("addmm", (p(4), p(3, 5), p(5, 4)), {}),
    ("addmm", (p(3, 1), p(3, 5), p(5, 4)), {"beta": 0.7, "alpha": 1.3}),
    ("addmm", (torch.full((3, 4), math.nan), p(3, 5), p(5, 4)), {"beta": 0}),
    ("addmv", (p(3), p(3, 5), p(5)), {"alpha": 0.3}),
    ("addr", (p(4), p(3), p(4)), {"beta": 2}),
    ("baddbmm", (p(1, 3, 4), p(2, 3, 5), p(2, 5, 4)), {"alpha": 0.25}),
    ("baddbmm", (torch.full((2, 3, 4), math.inf), p(2, 3, 5), p(2, 5, 4)), {"beta": 0}),
    ("addbmm", (p(3, 4), p(2, 3, 5), p(2, 5, 4)), {"beta": 0.5}),
    ("matmul", (p(4), p(4)), {}),
    ("matmul", (p(4), p(2, 4, 3)), {}),
    ("matmul", (p(2, 3, 4), p(4)), {}),
    ("matmul", (p(5, 1, 3, 4), p(2, 4, 3)), {}),
    ("matmul", (p(3, 0), p(0, 4)), {}),
    ("matmul", (p(0), p(0)), {}),
    ("matmul", (p(2, 0, 4), p(4, 3)), {}),
    ("einsum", ("ij,jk", p(3, 4), p(4, 5)), {}),
    ("einsum", ("i j , j k -> k i", p(3, 4), p(4, 5)), {}),
    ("einsum", ("ij,jk,kl->il", [p(3, 4), p(4, 5), p(5, 2)]), {}),
    ("einsum", (p(3, 4), [0, 1], p(4, 5), [1, 2], [2, 0]), {}),
    ("einsum", (p(2, 3, 4), [..., 0, 1], p(4, 5), [1, 2]), {}),
    ("einsum", ("...ij,...jk->...ik", p(2, 1, 2, 3), p(5, 3, 4)), {}),
    ("einsum", ("...ij->ij", p(2, 3, 4)), {}),
    ("einsum", ("ii", p(3, 3)), {}),
    ("einsum", ("iji->ji", p(3, 4, 3)), {}),
    ("einsum", ("iii->i", p(3, 3, 3)), {}),
    ("einsum", ("ij,jk", p(2, 1), p(3, 4)), {}),
    ("einsum", ("bi,bi->b", p(3, 4), p(3, 4)), {}),
    ("einsum", ("bi,bi->bi", p(3, 4), p(3, 1)), {}),
    ("einsum", ("i,j,k->kji", p(2), p(3), p(4)), {}),
    ("einsum", ("bqhd,bkhd->bhqk", p(2, 3, 4, 5), p(2, 6, 4, 5)), {}),
    ("einsum", ("ab,cd->ac", p(2, 3), p(4, 5)), {}),
    ("einsum", ("bA,Bb", p(3, 2), p(4, 3)), {}),
    ("einsum", ("->", p()), {}),
    ("einsum", ("ii,ij->j", p(3, 3), p(3, 4)), {}),
    ("einsum", ("ij,kj->ik", p(0, 4), p(3, 4)), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_shapes_and_values_of_torch(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    found, expected = getattr(MF, name)(*args, **kwargs), getattr(torch, name)(*args, **kwargs)
    assert found.shape == expected.shape
    # Up to three products in a row, each at most 1/9 too small.
    assert torch.all((found <= expected * 1.0001) & (found >= expected * (8 / 9) ** 3 * 0.9999))
    wanted = [x for x in torch.utils._pytree.tree_leaves(args) if isinstance(x, Tensor) and x.requires_grad]
    with mf.audit() as audit:
        grads = torch.autograd.grad(MF.sum(getattr(MF, name)(*args, **kwargs)), wanted)
    assert audit.multiplications == 0
    for mine, theirs in zip(grads, torch.autograd.grad(expected.sum(), wanted), strict=True):
        assert mine.shape == theirs.shape
        assert torch.all((mine <= theirs * 1.0001) & (mine >= theirs * (8 / 9) ** 3 * 0.9999))


@pytest.mark.parametrize(("shapes", "dim"), [(((4, 3), (4, 3)), None), (((3, 4), (3, 4)), None), (((4, 3), (1, 3)), 1)])
def test_cross(shapes: tuple[tuple[int, ...], ...], dim: int | None) -> None:
    a, b = (positive(*shape).detach() for shape in shapes)
    found = MF.cross(a, b, dim)
    along = -1 if shapes[0][-1] == 3 else 0
    assert torch.allclose(found, torch.linalg.cross(a, b, dim=along), atol=2.25 / 9)
    first = MF.mul(a.select(along, 1), b.select(along, 2)) - MF.mul(a.select(along, 2), b.select(along, 1))
    assert same_bits(found.select(along, 0), first)


@pytest.mark.parametrize("batch", [(), (2, 7)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_bilinear(batch: tuple[int, ...], with_bias: bool) -> None:
    a, b, weight = positive(*batch, 3), positive(*batch, 4), positive(5, 3, 4)
    bias = positive(5) if with_bias else None
    found, expected = MF.bilinear(a, b, weight, bias), F.bilinear(a, b, weight, bias)
    assert found.shape == expected.shape
    assert torch.all((found <= expected) & (found >= expected * (8 / 9) ** 2 * 0.9999))
    by_einsum = MF.einsum("...i,kij,...j->...k", a, weight, b)
    assert same_bits(found, by_einsum if bias is None else by_einsum + bias)


def dot(a: Tensor, b: Tensor, **options: int) -> int:
    return rows.dot(words(a), words(b), **options)


def test_bits_of_the_law() -> None:
    a, b, c = positive(2, 3, 4), positive(4, 3, 5), positive(2, 5)
    offset = scalar.compensation_offset(scalar.bits(1.0625))
    found = MF.tensordot(a, b, ([2, 1], [0, 1]), mantissa_bits=6, compensation=1.0625)
    expected = [dot(x.mT.flatten(), y.flatten(), mantissa_bits=6, offset=offset) for x in a for y in b.movedim(2, 0)]
    assert words(found) == expected
    # Left to right; j is summed in the order of the first operand, then k with the labels of the batch.
    joined = MF.einsum("bij,jik,bk->b", a, b, c)
    left = [[dot(x.flatten(), y.flatten()) for y in b.permute(2, 1, 0)] for x in a]
    assert words(joined) == [rows.dot(row, words(other)) for row, other in zip(left, c, strict=True)]


def test_labels_of_one_operand_are_summed_first() -> None:
    a, b = positive(2, 3), positive(4, 5)
    by_law = [[scalar.mul(rows.total(words(x)), rows.total(words(y))) for y in b] for x in a]
    assert same_bits(MF.einsum("ab,cd->ac", a, b), floats([x for row in by_law for x in row]).view(2, 4))


@pytest.mark.parametrize("derivative", ["exact", ("exact", "approximate")])
def test_derivatives_reach_the_products(derivative: MF.Derivatives) -> None:
    a, b, c = positive(3, 4), positive(4, 5), positive(3, 5)

    def grads(result: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(result.sum(), (a, b))

    expected = grads(MF.matmul(a, b, derivative=derivative))
    calls: list[Callable[[], Tensor]] = [
        lambda: MF.mm(a, b, derivative=derivative),
        lambda: MF.einsum("ij,jk->ik", a, b, derivative=derivative),
        lambda: MF.tensordot(a, b, 1, derivative=derivative),
        lambda: MF.addmm(c, a, b, derivative=derivative),
        lambda: MF.addmm(c[0], a, b, derivative=derivative),
    ]
    for call in calls:
        assert all(map(same_bits, grads(call()), expected))


def test_added_terms() -> None:
    x, a, b = positive(1, 4), positive(70, 5), positive(5, 4)
    found = MF.addmm(x, a, b, beta=0.7, alpha=1.3)
    assert same_bits(found, MF.mul(x, 0.7) + MF.mul(MF.mm(a, b), 1.3))
    assert same_bits(MF.addmm(x, a, b, beta=0, alpha=2), MF.mul(MF.mm(a, b), 2.0))
    upstream = torch.randn(70, 4)
    (by_x,) = torch.autograd.grad(MF.addmm(x, a, b), x, upstream)
    assert same_bits(by_x, MF.sum(upstream, 0, keepdim=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    x, a, b = (t.detach().to(dtype) for t in (positive(1, 4), positive(3, 5), positive(5, 4)))
    for call in (
        lambda x, a, b: MF.addmm(x, a, b, beta=0.3),
        lambda x, a, b: MF.einsum("ij,jk,lk->il", a, b, x),
        lambda x, a, b: MF.bilinear(a[:, :4], a[:, :1], b.unflatten(0, (5, 1)).mT, b[:, 0]),
    ):
        assert same_bits(call(x, a, b), call(x.float(), a.float(), b.float()).to(dtype))


OFFSETS = [[2, 4, 8], [0, 5, 5], [3, 3, 6]]


@pytest.mark.parametrize("offsets", OFFSETS, ids=str)
@pytest.mark.parametrize("dims", [(2, 3), (3, 2), (2, 2)])
def test_grouped_products(dims: tuple[int, int], offsets: list[int]) -> None:
    a, b = (positive(*((3, 8, 8) if d == 3 else (8, 8))) for d in dims)
    offs = torch.tensor(offsets, dtype=torch.int32)
    found = MF.grouped_mm(a, b, offs=offs)
    expected = torch.zeros((3, 8, 8) if dims == (2, 2) else (8, 8))
    for g, (start, end) in enumerate(zip([0, *offsets], offsets, strict=False)):
        group = slice(start, end)
        if dims == (2, 3):
            expected[group] = MF.matmul(a[group], b[g])
        elif dims == (3, 2):
            expected[:, group] = MF.matmul(a[g], b[:, group])
        else:
            expected[g] = MF.matmul(a[:, group], b[group])
    assert same_bits(found, expected)
    with mf.audit() as audit:
        grads = torch.autograd.grad(MF.sum(MF.grouped_mm(a, b, offs=offs)), (a, b))
    assert audit.multiplications == 0
    for mine, theirs in zip(grads, torch.autograd.grad(expected.sum(), (a, b)), strict=True):
        assert torch.allclose(mine, theirs)
    theirs = F.grouped_mm(a, b, offs=offs).detach()
    covered = expected.detach() != 0
    assert torch.allclose(found.detach()[covered], theirs[covered], rtol=1 / 9)


def test_grouped_batches() -> None:
    a, b = positive(3, 8, 8), positive(3, 8, 8)
    assert same_bits(MF.grouped_mm(a, b), MF.bmm(a, b))


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: MF.mm(p(2, 3, 4), p(4, 5)), "'input' must have 2 dimensions"),
    (lambda: MF.bmm(p(1, 3, 4), p(2, 4, 5)), "batches must have one size"),
    (lambda: MF.dot(p(3), p(4)), "must be equal"),
    (lambda: MF.dot(p(3, 1), p(3)), "'input' must have 1 dim"),
    (lambda: MF.inner(p(2, 3), p(4, 2)), "last sizes"),
    (lambda: MF.outer(p(2, 3), p(4)), "'input' must have 1 dim"),
    (lambda: MF.cross(p(3, 4), p(3, 4), -1), "must have size 3"),
    (lambda: MF.cross(p(4), p(4)), "no dimension of size 3"),
    (lambda: MF.tensordot(p(2, 3), p(4, 5), 1), "must agree"),
    (lambda: MF.tensordot(p(2, 3), p(4, 5), 3), "dims must be 0 to 2"),
    (lambda: MF.tensordot(p(2, 3), p(3, 5), ([1], [2])), "not different dimensions"),
    (lambda: MF.multi_dot([p(2, 3)]), "at least two"),
    (lambda: MF.multi_dot([p(2, 3), p(3), p(3, 2)]), "tensor 1 must be a matrix"),
    (lambda: MF.addmm(p(5, 3, 4), p(3, 2), p(2, 4)), "must broadcast"),
    (lambda: MF.bilinear(p(2, 3), p(2, 4), p(5, 4, 3)), "weight"),
    (lambda: MF.einsum("ij->k", p(3, 4)), "output"),
    (lambda: MF.einsum("ij->ii", p(3, 4)), "each once"),
    (lambda: MF.einsum("ij,jk->ik", p(3, 4), p(3, 4)), "label 'j' has size 3 in operand 1, 4 before"),
    (lambda: MF.einsum("ijk", p(3, 4)), "does not fit"),
    (lambda: MF.einsum("i,j", p(3)), "has 2 operands"),
    (lambda: MF.einsum("ii", p(3, 4)), "repeated"),
    (lambda: MF.einsum("i1", p(3, 4)), "letters"),
    (lambda: MF.einsum(p(3), [60]), "labels of a sublist"),
    (lambda: MF.grouped_mm(p(8, 8), p(3, 8, 8)), "offs unless both"),
    (lambda: MF.grouped_mm(p(8, 8), p(3, 8, 8), offs=torch.tensor([1, 2, 3])), "int32"),
    (lambda: MF.grouped_mm(p(8, 8), p(3, 8, 8), offs=torch.tensor([4, 2, 8], dtype=torch.int32)), "ascend"),
    (lambda: MF.grouped_mm(p(8, 8), p(3, 8, 8), offs=torch.tensor([4, 8], dtype=torch.int32)), "2 groups"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_errors(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        call()


def test_mixed_dtypes() -> None:
    with pytest.raises(TypeError, match="like 'input'"):
        MF.addmm(positive(3, 4).half(), positive(3, 5), positive(5, 4), beta=0.5)
