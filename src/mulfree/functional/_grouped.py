"""Products of groups of rows with matrices of their own, as in mixtures of experts."""

from __future__ import annotations

import itertools
from typing import Unpack

import torch
from torch import Tensor

from mulfree.functional._options import ProductOptions
from mulfree.functional._products import matmul


def grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: None = None,
    out_dtype: torch.dtype | None = None,
    **options: Unpack[ProductOptions],
) -> Tensor:
    """``torch.nn.functional.grouped_mm``: one ``matmul`` for each group.

    Args:
        mat_a: ``(m, k)`` or ``(groups, m, k)``.
        mat_b: ``(k, n)`` or ``(groups, k, n)``.
        offs: int32 ``(groups,)``, where an operand has two dimensions: group g ends before ``offs[g]``, counted
            along the rows of ``mat_a``, the columns of ``mat_b`` or, if both have two, along k.
        out_dtype: the dtype of the operands or None.

    Returns:
        ``(m, n)`` if one operand has two dimensions, with +0 where no group is; else ``(groups, m, n)``.

    Raises:
        RuntimeError: shapes, ``offs``, ``bias`` or ``out_dtype`` other than these.
    """
    if bias is not None:
        raise RuntimeError("grouped_mm(): bias is not supported, as in torch")
    if out_dtype not in (None, mat_a.dtype):
        raise RuntimeError(f"grouped_mm(): out_dtype must be {mat_a.dtype} like mat_a, got {out_dtype}")
    dims = mat_a.dim(), mat_b.dim()
    if not set(dims) <= {2, 3} or (offs is None) != (dims == (3, 3)):
        raise RuntimeError(f"grouped_mm(): two or three dimensions, and offs unless both have three, got {dims}")
    if offs is None:
        if mat_a.shape[0] != mat_b.shape[0]:
            raise RuntimeError(f"grouped_mm(): groups must agree, got {mat_a.shape[0]} and {mat_b.shape[0]}")
        return matmul(mat_a, mat_b, **options)
    length = {(2, 3): mat_a.shape[0], (3, 2): mat_b.shape[-1], (2, 2): mat_a.shape[-1]}[dims]
    sizes = _sizes(offs, length)
    for x in (mat_a, mat_b):
        if x.dim() == 3 and x.shape[0] != len(sizes) - 1:
            raise RuntimeError(f"grouped_mm(): offs has {len(sizes) - 1} groups, got {x.shape[0]} matrices")
    if dims == (2, 2):
        parts = zip(mat_a.split(sizes, 1)[:-1], mat_b.split(sizes, 0)[:-1], strict=True)
        return torch.stack([matmul(a, b, **options) for a, b in parts])
    if dims == (2, 3):
        rows = mat_a.split(sizes)
        products = [matmul(a, b, **options) for a, b in zip(rows, mat_b, strict=False)]
        return torch.cat([*products, mat_a.new_zeros(sizes[-1], mat_b.shape[-1])])
    columns = mat_b.split(sizes, 1)
    products = [matmul(a, b, **options) for a, b in zip(mat_a, columns, strict=False)]
    return torch.cat([*products, mat_b.new_zeros(mat_a.shape[1], sizes[-1])], 1)


def _sizes(offs: Tensor, length: int) -> list[int]:
    """Sizes of the groups, and of the rest that belongs to none."""
    if offs.dtype is not torch.int32 or offs.dim() != 1 or offs.numel() == 0:
        raise RuntimeError(f"grouped_mm(): offs must be int32 with one dimension, got {offs.dtype} {tuple(offs.shape)}")
    if offs.is_meta:  # any sizes give the result's shape
        return [length, *[0] * offs.numel()]
    ends = [0, *offs.tolist(), length]
    sizes = [end - start for start, end in itertools.pairwise(ends)]
    if min(sizes) < 0:
        raise RuntimeError(f"grouped_mm(): offs must ascend from 0 to at most {length}, got {ends[1:-1]}")
    return sizes
