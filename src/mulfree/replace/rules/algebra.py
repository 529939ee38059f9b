"""Matrix functions whose torch form differs from ours, and reparametrized weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.policy import Policy
from mulfree.replace.rules._rule import product_options, rule


@rule("_grouped_mm", groups=("matmul",))
def _grouped_mm(
    policy: Policy,
    input: Tensor,
    mat2: Tensor,
    offs: Tensor | None = None,
    bias: None = None,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    return MF.grouped_mm(input, mat2, offs=offs, bias=bias, out_dtype=out_dtype, **product_options(policy))


@rule("linalg_norm")
def _linalg_norm(
    policy: Policy, A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Vector norms; those of matrices need singular values or have names of their own."""
    if ord is not None and not isinstance(dim, int) and A.dim() != 1:
        raise NotImplementedError(f"linalg.norm(): matrix norm {ord!r} has no piecewise affine form")
    order = 2 if ord is None else ord
    return MF.vector_norm(A, order, dim, keepdim, dtype=dtype, derivative=policy.elementwise.derivative)


@rule("linalg_cross")
def _linalg_cross(policy: Policy, input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    return MF.cross(input, other, dim, derivative=policy.elementwise.derivative)


@rule("norm_except_dim")
def _norm_except_dim(policy: Policy, v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    others = [d for d in range(v.dim()) if d != dim % v.dim()] if dim != -1 else list(range(v.dim()))
    return MF.vector_norm(v, pow, others, keepdim=dim != -1, derivative=policy.elementwise.derivative)


@rule("_weight_norm")
def _weight_norm(policy: Policy, v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """``mul(v, div(g, norm(v)))`` (Salimans & Kingma, 2016)."""
    derivative = policy.elementwise.derivative
    return MF.mul(v, MF.div(g, _norm_except_dim(policy, v, 2, dim), derivative=derivative), derivative=derivative)
