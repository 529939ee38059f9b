"""Matrix products on the native kernels: shapes and strides in, one call out."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.native import kernels, threads
from mulfree.backends.rounding import round_to

_FORMATS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}

Operand = tuple[int, int, int, list[int]]


def _operand(matrix: Tensor, batch: torch.Size) -> Operand:
    """Address, row stride, column stride and batch strides (0 where the batch is broadcast)."""
    if not batch:
        row_stride, column_stride = matrix.stride()
        return matrix.data_ptr(), row_stride, column_stride, []
    if matrix.shape[:-2] != batch:
        matrix = matrix.expand(*batch, *matrix.shape[-2:])
    *batch_strides, row_stride, column_stride = matrix.stride()
    return matrix.data_ptr(), row_stride, column_stride, batch_strides


def _batch(first: Tensor, *others: Tensor) -> torch.Size:
    """The broadcast batch shape; equal shapes, the common case, are not worth torch's general function."""
    batch = first.shape[:-2]
    for matrix in others:
        if matrix.shape[:-2] != batch:
            return torch.Size(torch.broadcast_shapes(batch, *(x.shape[:-2] for x in others)))
    return batch


class CPUProducts:
    """The two product methods of ``contract.Backend``."""

    def matmul(
        self, a: Tensor, b: Tensor, bias: Tensor | None = None, mantissa_bits: int = 23, offset: int = 0
    ) -> Tensor:
        return self._run(a, b, None, bias, _batch(a, b), mantissa_bits, offset)

    def matmul_grad(self, p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int = 23, offset: int = 0) -> Tensor:
        return self._run(grad, q.mT, p, None, _batch(p, q, grad), mantissa_bits, offset)

    @staticmethod
    def _run(
        left: Tensor,
        right: Tensor,
        slope: Tensor | None,
        bias: Tensor | None,
        batch: torch.Size,
        mantissa_bits: int,
        offset: int,
    ) -> Tensor:
        rows, depth = left.shape[-2:]
        columns = right.shape[-1]
        dtype = left.dtype
        out = torch.empty(*batch, rows, columns, dtype=torch.float32)
        if bias is not None and not (bias.dtype is torch.float32 and bias.is_contiguous()):
            bias = bias.to(torch.float32).contiguous()
        if len(batch) > kernels.MAX_BATCH_DIMS:
            left, right = left.expand(*batch, -1, -1).flatten(0, -3), right.expand(*batch, -1, -1).flatten(0, -3)
            slope = None if slope is None else slope.expand(*batch, -1, -1).flatten(0, -3)
            batch = left.shape[:-2]
        kernels.matmul(
            _operand(left, batch),
            _operand(right, batch),
            None if slope is None else _operand(slope, batch),
            out.data_ptr(),
            0 if bias is None else bias.data_ptr(),
            [rows, columns, depth],
            [*batch],
            _FORMATS[dtype],
            mantissa_bits,
            offset,
            threads(),
        )
        return round_to(out, dtype)
