"""Matrix products on the native kernels: shapes and strides in, one call out."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.native import kernels, threads
from mulfree.backends.rounding import round_to

_FORMATS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}


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
        return self._run(a, b, None, bias, mantissa_bits, offset)

    def matmul_grad(self, p: Tensor, q: Tensor, grad: Tensor, mantissa_bits: int = 23, offset: int = 0) -> Tensor:
        return self._run(grad, q.mT, p, None, mantissa_bits, offset)

    @staticmethod
    def _run(
        left: Tensor, right: Tensor, slope: Tensor | None, bias: Tensor | None, mantissa_bits: int, offset: int
    ) -> Tensor:
        dtype = left.dtype
        *batch, rows, depth = left.shape
        columns = right.shape[-1]
        if batch or right.dim() > 2:
            batch = [*_batch(left, right)] if slope is None else [*_batch(left, right, slope)]
        out = torch.empty(*batch, rows, columns, dtype=torch.float32)  # much quicker than with a tuple
        if bias is not None and not (bias.dtype is torch.float32 and bias.is_contiguous()):
            bias = bias.to(torch.float32).contiguous()
        if len(batch) > kernels.MAX_BATCH_DIMS:
            left, right = left.expand(*batch, -1, -1).flatten(0, -3), right.expand(*batch, -1, -1).flatten(0, -3)
            slope = None if slope is None else slope.expand(*batch, -1, -1).flatten(0, -3)
            batch = [left.shape[0]]
        kernels.matmul(
            (left.data_ptr(), left.shape, left.stride()),
            (right.data_ptr(), right.shape, right.stride()),
            () if slope is None else (slope.data_ptr(), slope.shape, slope.stride()),
            out.data_ptr(),
            (*batch, rows, columns),
            depth,
            0 if bias is None else bias.data_ptr(),
            _FORMATS[dtype],
            mantissa_bits,
            offset,
            threads(),
        )
        return out if dtype is torch.float32 else round_to(out, dtype)
