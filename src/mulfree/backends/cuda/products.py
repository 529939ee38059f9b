"""Matrix products on CUDA: shapes and strides in, a problem out."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from mulfree.backends.cuda.kernels import Launcher
from mulfree.backends.cuda.problems import Batch, Problem, Source, Walk, run
from mulfree.backends.rounding import round_to

_MOST_DIGITS = 4


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
        """``left @ right``; if turned, its transpose, to which the bias belongs."""
        dtype = left.dtype
        operands = [left, right] if point is None else [left, right, point]
        batch = torch.broadcast_shapes(*(x.shape[:-2] for x in operands))
        rows, depth, columns = left.shape[-2], left.shape[-1], right.shape[-1]
        out = torch.empty(*batch, *((columns, rows) if turned else (rows, columns)), device=left.device)
        laid = out.mT if turned else out
        if bias is not None:
            bias = bias.to(torch.float32).contiguous()
        views = [x.expand(*batch, *x.shape[-2:]) for x in operands]
        digits = _batch_of(batch, [*views, *[views[0]] * (3 - len(views)), laid])
        if digits is None:
            return self._run(views[0].flatten(0, -3), views[1].flatten(0, -3), None if point is None else
                             views[2].flatten(0, -3), bias, mantissa_bits, offset, turned).view(out.shape)  # fmt: skip
        problem = Problem(
            left=_matrix(views[0]),
            right=_matrix(views[1].mT),
            out=out,
            out_rows=Walk.line(rows, laid.stride(-2)),
            out_columns=Walk.line(columns, laid.stride(-1)),
            rows=rows,
            columns=columns,
            depth=depth,
            batch=digits,
            point=None if point is None else _matrix(views[2]),
            bias=bias,
            bias_strides=(1, 0) if turned else (0, 1),
            mantissa_bits=mantissa_bits,
            offset=offset,
        )
        run(self.launcher, problem)
        return round_to(out, dtype)


def _matrix(x: Tensor) -> Source:
    """Lines are rows, the depth columns, of the last two dimensions."""
    lines, depth = x.shape[-2:]
    return Source(x, Walk.line(lines, x.stride(-2)), Walk.line(depth, x.stride(-1)), deep=x.stride(-1) == 1)


def _batch_of(batch: torch.Size, views: list[Tensor]) -> Batch | None:
    """The batch dimensions, joined where all operands walk them as one; None if too many are left."""
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in views]
    for dim in reversed(range(len(batch))):
        if batch[dim] == 1:
            continue
        steps = [x.stride(dim) for x in views]
        if sizes and all(step == of[-1] * sizes[-1] for of, step in zip(strides, steps, strict=True)):
            sizes[-1] *= batch[dim]
            continue
        sizes.append(batch[dim])
        for of, step in zip(strides, steps, strict=True):
            of.append(step)
    if len(sizes) > _MOST_DIGITS:
        return None
    if prod(batch) == 0:
        sizes, strides = [0], [[0] for _ in views]
    return Batch(tuple(sizes), (*(tuple(of) for of in strides), ()))
