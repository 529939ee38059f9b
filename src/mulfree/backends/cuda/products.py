"""Matrix products on CUDA: shapes and strides in, a problem out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from mulfree.backends.cuda.kernels import Launcher
from mulfree.backends.cuda.plans import Memory, run
from mulfree.backends.cuda.problems import Batch, Problem, Source, Walk
from mulfree.backends.rounding import round_to

_MOST_DIGITS = 4
_KEPT = 4096
Layout = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape and strides."""


@dataclass(frozen=True)
class _Product:
    """``left @ right``, or the exact derivative by a point; if turned, its transpose, to which the bias belongs."""

    left: Layout
    right: Layout
    point: Layout | None
    turned: bool
    dtype: torch.dtype
    mantissa_bits: int
    offset: int


def _layout(x: Tensor) -> Layout:
    return tuple(x.shape), x.stride()


class CUDAProducts:
    """The two product methods of ``contract.Backend``."""

    launcher: Launcher

    def matmul(
        self, a: Tensor, b: Tensor, bias: Tensor | None = None, mantissa_bits: int = 23, offset: int = 0
    ) -> Tensor:
        if b.shape[-1] < a.shape[-2] and b.shape[-1] <= 2:
            # Few columns: the operands of a product may be exchanged, so that they become few rows.
            return self._run(b.mT, a.mT, None, bias, mantissa_bits, offset, turned=True)
        return self._run(a, b, None, bias, mantissa_bits, offset)

    def matmul_grad(self, p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int = 23, offset: int = 0) -> Tensor:
        return self._run(grad, q.mT, p, None, mantissa_bits, offset)

    def _run(
        self,
        left: Tensor,
        right: Tensor,
        point: Tensor | None,
        bias: Tensor | None,
        mantissa_bits: int,
        offset: int,
        turned: bool = False,
    ) -> Tensor:
        layout = None if point is None else _layout(point)
        product = _Product(_layout(left), _layout(right), layout, turned, left.dtype, mantissa_bits, offset)
        found = _problem(product)
        if found is None:
            batch = torch.broadcast_shapes(*(x.shape[:-2] for x in (left, right, point) if x is not None))
            flat = [None if x is None else _flat(x, batch) for x in (left, right, point)]
            result = self._run(flat[0], flat[1], flat[2], bias, mantissa_bits, offset, turned)  # type: ignore[arg-type]
            return result.view(*batch, *result.shape[-2:])
        problem, shape = found
        out = torch.empty(shape, dtype=torch.float32, device=left.device)
        if bias is not None:
            bias = bias.to(torch.float32).contiguous()
        run(self.launcher, problem, Memory(left, right, out, point, bias))
        return round_to(out, left.dtype)


def _flat(x: Tensor, batch: torch.Size) -> Tensor:
    return x.expand(*batch, *x.shape[-2:]).flatten(0, -3)


@lru_cache(_KEPT)
def _problem(product: _Product) -> tuple[Problem, tuple[int, ...]] | None:
    """The problem and the shape of its result; None if the batch has too many dimensions."""
    operands = [x for x in (product.left, product.right, product.point) if x is not None]
    batch = tuple(torch.broadcast_shapes(*(shape[:-2] for shape, _ in operands)))
    rows, depth, columns = product.left[0][-2], product.left[0][-1], product.right[0][-1]
    shape = (*batch, columns, rows) if product.turned else (*batch, rows, columns)
    strides = torch.empty(shape, device="meta").stride()
    by_batch = [_expanded(x, batch) for x in (product.left, product.right, product.point or product.left)]
    digits = _batch_of(batch, [*by_batch, strides[:-2]])
    if digits is None:
        return None
    by_row, by_column = reversed(strides[-2:]) if product.turned else strides[-2:]
    (right_shape, right_strides) = product.right
    problem = Problem(
        left=_matrix(product.left),
        right=_matrix(((right_shape[-1], right_shape[-2]), (right_strides[-1], right_strides[-2]))),
        out_rows=Walk.line(rows, by_row),
        out_columns=Walk.line(columns, by_column),
        rows=rows,
        columns=columns,
        depth=depth,
        batch=digits,
        point=None if product.point is None else _matrix(product.point),
        bias_strides=(1, 0) if product.turned else (0, 1),
        dtype=product.dtype,
        mantissa_bits=product.mantissa_bits,
        offset=product.offset,
    )
    return problem, shape


def _matrix(x: Layout) -> Source:
    """Lines are rows, the depth columns, of the last two dimensions."""
    (*_, lines, depth), (*_, by_line, by_depth) = x
    return Source(Walk.line(lines, by_line), Walk.line(depth, by_depth), deep=by_depth == 1)


def _expanded(x: Layout, batch: Sequence[int]) -> list[int]:
    """Strides by the dimensions of the batch, 0 where an operand is broadcast."""
    shape, strides = x[0][:-2], x[1][:-2]
    absent = len(batch) - len(shape)
    return [0] * absent + [0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True)]


def _batch_of(batch: Sequence[int], strides: Sequence[Sequence[int]]) -> Batch | None:
    """The batch dimensions, joined where all operands walk them as one; None if too many are left."""
    if prod(batch) == 0:
        return Batch((0,), (*((0,) for _ in strides), ()))
    sizes: list[int] = []
    walks: list[list[int]] = [[] for _ in strides]
    for dim in reversed(range(len(batch))):
        if batch[dim] == 1:
            continue
        steps = [of[dim] for of in strides]
        if sizes and all(step == walk[-1] * sizes[-1] for walk, step in zip(walks, steps, strict=True)):
            sizes[-1] *= batch[dim]
            continue
        sizes.append(batch[dim])
        for walk, step in zip(walks, steps, strict=True):
            walk.append(step)
    if len(sizes) > _MOST_DIGITS:
        return None
    return Batch(tuple(sizes), (*(tuple(walk) for walk in walks), ()))
