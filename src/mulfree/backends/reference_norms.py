"""Batch norm, ``numerics/norms.py`` on tensors of words ``(batch, channels, positions)``."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.reference_dots import total
from mulfree.backends.reference_rows import denominator_grad, mul_grad, numerator_grad, sqrt, sqrt_grad
from mulfree.backends.reference_words import add, constant, div, mul, negate
from mulfree.numerics.formats import ONE
from mulfree.numerics.scalar import bits


def _rows(x: Tensor) -> Tensor:
    """``(channels, batch * positions)``."""
    return x.transpose(0, 1).flatten(1)


def _from_rows(rows: Tensor, shape: torch.Size) -> Tensor:
    batch, channels, positions = shape
    return rows.view(channels, batch, positions).transpose(0, 1)


def _column_total(rows: Tensor) -> Tensor:
    return total(rows)[:, None]


def batch_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
    rows = _rows(x)
    count = constant(bits(float(rows.shape[1])), x)
    whole = _column_total(rows)
    middle = div(whole, count)
    centred = add(rows, negate(middle))
    squares = _column_total(mul(centred, centred))
    variance = add(div(squares, count), constant(bits(eps), x))
    result = div(centred, sqrt(variance))
    if weight is not None:
        result = mul(result, weight[:, None])
    if bias is not None:
        result = add(result, bias[:, None])
    return _from_rows(result, x.shape), torch.cat([middle, variance, whole, squares], dim=1)


def batch_norm_grad(
    grad: Tensor, x: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    rows, incoming = _rows(x), _rows(grad)
    count = constant(bits(float(rows.shape[1])), x)
    factor = constant(ONE, x) if weight is None else weight[:, None]  # a product with 1 changes no bit
    middle, variance, whole, squares = stats.split(1, dim=1)
    centred, root = add(rows, negate(middle)), sqrt(variance)
    normal = div(centred, root)
    d_weight = total(mul_grad(exact, incoming, factor, normal))
    d_normal = mul_grad(exact, incoming, normal, factor)
    d_root = _column_total(denominator_grad(exact, d_normal, centred, root))
    d_square = numerator_grad(exact, sqrt_grad(exact, d_root, variance), squares, count)
    by_square = mul_grad(exact, d_square, centred, centred)
    d_centred = add(numerator_grad(exact, d_normal, centred, root), add(by_square, by_square))
    d_term = numerator_grad(exact, negate(_column_total(d_centred)), whole, count)
    return _from_rows(add(d_centred, d_term), x.shape), d_weight, total(incoming)
