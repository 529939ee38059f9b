"""The law on rows, ``numerics/rows.py`` function by function, on matrices ``(rows, n)`` of words.

Numbers that belong to a row (shifts, totals, means) are columns ``(rows, 1)``. ``exact`` chooses the derivative
of every step inside (Table 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends import reference_words as word
from mulfree.backends.contract import AdamWScalars
from mulfree.backends.reference_dots import total
from mulfree.backends.reference_words import add, constant, div, exp2, flush, log2, mul, negate
from mulfree.numerics.formats import INF, LOG2E, MAGNITUDE, MAX, NAN, ONE, SIGN, TWO
from mulfree.numerics.rows import smoothing_weights
from mulfree.numerics.scalar import bits, is_zero

# Each derivative in the form the caller asks for.


def mul_grad(exact: bool, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return word.mul_grad(grad, a, b) if exact else mul(b, grad)


def numerator_grad(exact: bool, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return word.div_grad_numerator(grad, a, b) if exact else div(grad, b)


def denominator_grad(exact: bool, grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return (word.div_grad_denominator if exact else word.div_grad_denominator_approximate)(grad, a, b)


def exp2_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    return (word.exp2_grad if exact else word.exp2_grad_approximate)(grad, x)


def log2_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    return (word.log2_grad if exact else word.log2_grad_approximate)(grad, x)


def exp(x: Tensor) -> Tensor:
    """paexp, eq. 18."""
    return exp2(mul(x, constant(LOG2E, x)))


def exp_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    log2e = constant(LOG2E, x)
    return mul_grad(exact, exp2_grad(exact, grad, mul(x, log2e)), x, log2e)


def log(x: Tensor) -> Tensor:
    """palog, eq. 19."""
    return div(log2(x), constant(LOG2E, x))


def log_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    return log2_grad(exact, numerator_grad(exact, grad, log2(x), constant(LOG2E, x)), x)


def sqrt(x: Tensor) -> Tensor:
    """pasqrt, eq. 20."""
    return exp2(div(log2(x), constant(TWO, x)))


def sqrt_grad(exact: bool, grad: Tensor, x: Tensor) -> Tensor:
    two = constant(TWO, x)
    logarithm = log2(x)
    d_half = exp2_grad(exact, grad, div(logarithm, two))
    return log2_grad(exact, numerator_grad(exact, d_half, logarithm, two), x)


def _column_total(rows: Tensor) -> Tensor:
    return total(rows)[:, None]


def _maximum(rows: Tensor) -> Tensor:
    """Largest entry of each row; NaN if there is one, -inf for an empty row."""
    flushed = flush(rows)
    # Ordering of floats by their bits: negative numbers descend with their magnitude.
    order = torch.where((flushed & SIGN) != 0, -(flushed & MAGNITUDE), flushed)
    order = torch.nn.functional.pad(order, (0, 1), value=-INF)
    largest = order.amax(dim=-1, keepdim=True)
    largest = torch.where(largest < 0, SIGN | -largest, largest)
    return torch.where(word.is_nan(rows).any(dim=-1, keepdim=True), NAN, largest)


def _scaled(rows: Tensor) -> Tensor:
    """z = x log2(e), held at the largest finite magnitude where x is finite."""
    z = mul(rows, constant(LOG2E, rows))
    return torch.where(word.is_infinite(z) & ~word.is_infinite(rows), z & SIGN | MAX, z)


def _powers(rows: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """z - shift and exp2(z - shift) with z = x log2(e)."""
    arguments = add(_scaled(rows), negate(shift))
    return arguments, exp2(arguments)


def _row_shift(rows: Tensor) -> Tensor:
    """floor(max(x log2(e))): what softmax subtracts before ``exp2``."""
    return word.floor(_maximum(_scaled(rows)))


def softmax(rows: Tensor) -> tuple[Tensor, Tensor]:
    shift = _row_shift(rows)
    powers = _powers(rows, shift)[1]
    whole = _column_total(powers)
    return div(powers, whole), torch.cat([shift, whole], dim=-1)


def softmax_grad(grad: Tensor, rows: Tensor, stats: Tensor, exact: bool) -> Tensor:
    shift, whole = stats[:, :1], stats[:, 1:]
    arguments, powers = _powers(rows, shift)
    d_whole = _column_total(denominator_grad(exact, grad, powers, whole))
    d_powers = add(numerator_grad(exact, grad, powers, whole), d_whole)
    return _powers_grad(d_powers, rows, arguments, exact)


def _powers_grad(d_powers: Tensor, rows: Tensor, arguments: Tensor, exact: bool) -> Tensor:
    return mul_grad(exact, exp2_grad(exact, d_powers, arguments), rows, constant(LOG2E, rows))


def log_softmax(rows: Tensor) -> tuple[Tensor, Tensor]:
    shift = _row_shift(rows)
    level, whole = _level(rows, shift)
    return add(rows, negate(level)), torch.cat([shift, whole], dim=-1)


def log_softmax_grad(grad: Tensor, rows: Tensor, stats: Tensor, exact: bool) -> Tensor:
    return add(grad, logsumexp_grad(negate(_column_total(grad)), rows, stats, exact))


def _level(rows: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """(shift + log2(total)) / log2(e), or the maximum itself where it was held; and the total."""
    whole = _column_total(_powers(rows, shift)[1])
    level = div(add(shift, log2(whole)), constant(LOG2E, rows))
    return torch.where((shift & MAGNITUDE) == MAX, _maximum(rows), level), whole


def logsumexp(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Results as a column. The shift is 0 where the maximum is infinite, as in torch."""
    shift = _row_shift(rows)
    shift = torch.where(word.is_infinite(shift), 0, shift)
    level, whole = _level(rows, shift)
    return level, torch.cat([shift, whole], dim=-1)


def logsumexp_grad(grad: Tensor, rows: Tensor, stats: Tensor, exact: bool) -> Tensor:
    """``grad`` is a column."""
    shift, whole = stats[:, :1], stats[:, 1:]
    arguments = _powers(rows, shift)[0]
    d_logarithm = numerator_grad(exact, grad, add(shift, log2(whole)), constant(LOG2E, rows))
    return _powers_grad(log2_grad(exact, d_logarithm, whole), rows, arguments, exact)


def _own(logs: Tensor, is_target: Tensor) -> Tensor:
    """-log p of each row's target, as a column; NaN where a row has none."""
    found = is_target.any(dim=-1, keepdim=True)
    return torch.where(found, negate(torch.where(is_target, logs, 0).sum(dim=-1, keepdim=True)), NAN)


def cross_entropy(rows: Tensor, is_target: Tensor, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """Losses as a column; ``is_target`` marks one entry of each row."""
    logs, stats = log_softmax(rows)
    own = _own(logs, is_target)
    if is_zero(bits(label_smoothing)):
        return own, stats
    by_target, by_class = (constant(weight, rows) for weight in smoothing_weights(label_smoothing, rows.shape[-1]))
    return add(mul(own, by_target), mul(negate(_column_total(logs)), by_class)), stats


def cross_entropy_grad(
    grad: Tensor, rows: Tensor, is_target: Tensor, stats: Tensor, label_smoothing: float, exact: bool
) -> Tensor:
    """``grad`` is a column."""
    if is_zero(bits(label_smoothing)):
        d_logs = torch.where(is_target, negate(grad), 0)
    else:
        logs = log_softmax(rows)[0]
        by_target, by_class = (constant(weight, rows) for weight in smoothing_weights(label_smoothing, rows.shape[-1]))
        d_all = negate(mul_grad(exact, grad, negate(_column_total(logs)), by_class))
        d_own = negate(mul_grad(exact, grad, _own(logs, is_target), by_target))
        d_logs = torch.where(is_target, add(d_all, d_own), d_all)
    return log_softmax_grad(d_logs, rows, stats, exact)


def _count(rows: Tensor) -> Tensor:
    return constant(bits(float(rows.shape[-1])), rows)


def layer_norm(rows: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
    """((x - mean) / sqrt(var + eps)) * weight + bias."""
    count = _count(rows)
    middle = div(_column_total(rows), count)
    centred = add(rows, negate(middle))
    variance = add(div(_column_total(mul(centred, centred)), count), constant(bits(eps), rows))
    result = div(centred, sqrt(variance))
    if weight is not None:
        result = mul(result, weight)
    if bias is not None:
        result = add(result, bias)
    return result, torch.cat([middle, variance], dim=-1)


def layer_norm_grad(
    grad: Tensor, rows: Tensor, weight: Tensor | None, stats: Tensor, exact: bool
) -> tuple[Tensor, Tensor, Tensor]:
    count = _count(rows)
    weight = constant(ONE, rows) if weight is None else weight  # a product with 1 changes no bit
    middle, variance = stats[:, :1], stats[:, 1:]
    centred, root = add(rows, negate(middle)), sqrt(variance)
    normal = div(centred, root)
    d_weight = total(mul_grad(exact, grad, weight, normal).mT)
    d_normal = mul_grad(exact, grad, normal, weight)
    d_root = _column_total(denominator_grad(exact, d_normal, centred, root))
    squares = _column_total(mul(centred, centred))
    d_square = numerator_grad(exact, sqrt_grad(exact, d_root, variance), squares, count)
    by_square = mul_grad(exact, d_square, centred, centred)
    d_centred = add(numerator_grad(exact, d_normal, centred, root), add(by_square, by_square))
    d_mean = negate(_column_total(d_centred))
    d_term = numerator_grad(exact, d_mean, _column_total(rows), count)
    return add(d_centred, d_term), d_weight, total(grad.mT)


def adamw(param: Tensor, grad: Tensor, m: Tensor, v: Tensor, scalars: AdamWScalars) -> tuple[Tensor, Tensor, Tensor]:
    """(param, exp_avg, exp_avg_sq) after one step."""
    one, beta1, beta2 = (constant(scalar, param) for scalar in (ONE, scalars.beta1, scalars.beta2))
    m = add(mul(m, beta1), mul(grad, add(one, negate(beta1))))
    v = add(mul(v, beta2), mul(mul(grad, grad), add(one, negate(beta2))))
    root = add(sqrt(div(v, constant(scalars.correction2, v))), constant(scalars.eps, v))
    step = mul(constant(scalars.lr, m), div(div(m, constant(scalars.correction1, m)), root))
    param = add(param, negate(mul(constant(scalars.decay, param), param)))
    return add(param, negate(step)), m, v
