"""The law on rows: accumulation orders and the operations composed over a row of numbers.

Rows are lists of bits, as in ``scalar.py``. Each composed operation is written with the
scalar operations in the one order that every backend follows (``docs/spec.md``, sections
6 and 7). ``exact`` chooses the derivative of every step inside (Table 1).
"""

from __future__ import annotations

from collections.abc import Sequence

from mulfree.numerics import scalar
from mulfree.numerics.formats import (
    DOT_CHUNK,
    GELU_CUBIC,
    GELU_SCALE,
    INF,
    LOG2E,
    MAGNITUDE,
    MAX,
    NAN,
    ONE,
    SIGMOID_MOST,
    SIGN,
    STEP,
    SUM_CHUNK,
    SUM_LANES,
    TWO,
)
from mulfree.numerics.scalar import add, bits, div, exp2, flush, is_infinite, is_nan, is_zero, log2, mul, negate

Row = Sequence[int]


def _positive_zero(a: int) -> int:
    return 0 if is_zero(a) else a


def total(row: Row) -> int:
    """Sum of a row: chunks of 1024, 32 lanes in a chunk, lanes added as a tree, chunks in order."""
    result = 0
    for start in range(0, len(row), SUM_CHUNK):
        lanes = [0] * SUM_LANES
        for j, term in enumerate(row[start : start + SUM_CHUNK]):
            lanes[j % SUM_LANES] = add(lanes[j % SUM_LANES], term)
        width = SUM_LANES
        while width > 1:
            width //= 2
            lanes = [add(lanes[i], lanes[i + width]) for i in range(width)]
        result = add(result, lanes[0])
    return _positive_zero(result)


def accumulate(products: Row) -> int:
    """Sum of the products of a dot product: chunks of 256 in ascending order, one accumulator each."""
    result = 0
    for start in range(0, len(products), DOT_CHUNK):
        chunk = 0
        for product in products[start : start + DOT_CHUNK]:
            chunk = add(chunk, product)
        result = add(result, chunk)
    return _positive_zero(result)


def dot(a: Row, b: Row, mantissa_bits: int = 23, offset: int = 0) -> int:
    """One entry of a matrix product."""
    narrow = [(scalar.narrow(x, mantissa_bits), scalar.narrow(y, mantissa_bits)) for x, y in zip(a, b, strict=True)]
    return accumulate([mul(x, y, offset) for x, y in narrow])


def dot_grad(p: int, q: Row, grad: Row, mantissa_bits: int = 23, offset: int = 0) -> int:
    """Exact derivative of a matrix product by its entry ``p``: sum_j slope(p, q_j) grad_j."""
    p = scalar.narrow(p, mantissa_bits)
    pairs = [(scalar.narrow(x, mantissa_bits), scalar.narrow(g, mantissa_bits)) for x, g in zip(q, grad, strict=True)]
    return accumulate([scalar.mul_grad(g, p, x, offset) for x, g in pairs])


# Each derivative in the form the caller asks for.


def _mul_grad(exact: bool, grad: int, a: int, b: int) -> int:
    return scalar.mul_grad(grad, a, b) if exact else mul(b, grad)


def _numerator_grad(exact: bool, grad: int, a: int, b: int) -> int:
    return scalar.div_grad_numerator(grad, a, b) if exact else div(grad, b)


def _denominator_grad(exact: bool, grad: int, a: int, b: int) -> int:
    return (scalar.div_grad_denominator if exact else scalar.div_grad_denominator_approximate)(grad, a, b)


def _exp2_grad(exact: bool, grad: int, x: int) -> int:
    return (scalar.exp2_grad if exact else scalar.exp2_grad_approximate)(grad, x)


def _log2_grad(exact: bool, grad: int, x: int) -> int:
    return (scalar.log2_grad if exact else scalar.log2_grad_approximate)(grad, x)


def exp(x: int) -> int:
    """paexp, eq. 18."""
    return exp2(mul(x, LOG2E))


def exp_grad(grad: int, x: int, exact: bool) -> int:
    return _mul_grad(exact, _exp2_grad(exact, grad, mul(x, LOG2E)), x, LOG2E)


def log(x: int) -> int:
    """palog, eq. 19."""
    return div(log2(x), LOG2E)


def log_grad(grad: int, x: int, exact: bool) -> int:
    return _log2_grad(exact, _numerator_grad(exact, grad, log2(x), LOG2E), x)


def sqrt(x: int) -> int:
    """pasqrt, eq. 20."""
    return exp2(div(log2(x), TWO))


def sqrt_grad(grad: int, x: int, exact: bool) -> int:
    logarithm = log2(x)
    half = div(logarithm, TWO)
    return _log2_grad(exact, _numerator_grad(exact, _exp2_grad(exact, grad, half), logarithm, TWO), x)


def _logistic_exponent(x: int) -> int:
    """-x log2(e), at most 127: 1 / (1 + 2**127) is zero already and no infinity reaches the derivative."""
    exponent = mul(negate(x), LOG2E)
    return SIGMOID_MOST if SIGMOID_MOST < exponent <= INF else exponent


def sigmoid(x: int) -> int:
    """The logistic function: 1 / (1 + exp(-x))."""
    return div(ONE, add(ONE, exp2(_logistic_exponent(x))))


def sigmoid_grad(grad: int, x: int, exact: bool) -> int:
    exponent = _logistic_exponent(x)
    d_power = _denominator_grad(exact, grad, ONE, add(ONE, exp2(exponent)))
    return negate(_mul_grad(exact, _exp2_grad(exact, d_power, exponent), negate(x), LOG2E))


def silu(x: int) -> int:
    """x * sigmoid(x)."""
    return mul(x, sigmoid(x))


def silu_grad(grad: int, x: int, exact: bool) -> int:
    logistic = sigmoid(x)
    d_logistic = _mul_grad(exact, grad, logistic, x)
    return add(_mul_grad(exact, grad, x, logistic), sigmoid_grad(d_logistic, x, exact))


def _doubled(a: int) -> int:
    """2 a: a step of the exponent."""
    if is_nan(a) or is_infinite(a) or is_zero(a):
        return NAN if is_nan(a) else flush(a)
    return (a & SIGN) | min((a & MAGNITUDE) + STEP, INF)


def _tanh_power(x: int) -> tuple[int, int]:
    """-2 |x| and its power exp(-2 |x|)."""
    twice = negate(_doubled(x & MAGNITUDE))
    return twice, exp(twice)


def tanh(x: int) -> int:
    """(1 - e) / (1 + e) with e = exp(-2 |x|) and the sign of x."""
    power = _tanh_power(x)[1]
    result = div(add(ONE, negate(power)), add(ONE, power))
    return result if is_nan(result) else result | (x & SIGN)


def tanh_grad(grad: int, x: int, exact: bool) -> int:
    """The two signs of x, of |x| and of the result, cancel."""
    twice, power = _tanh_power(x)
    top, bottom = add(ONE, negate(power)), add(ONE, power)
    d_top = _numerator_grad(exact, grad, top, bottom)
    d_power = add(_denominator_grad(exact, grad, top, bottom), negate(d_top))
    return negate(_doubled(exp_grad(d_power, twice, exact)))


def gelu(x: int) -> int:
    """GELU by its tanh approximation, written with the logistic function: x * sigmoid(u(x))."""
    return mul(x, sigmoid(_gelu_inner(x)[0]))


def _gelu_inner(x: int) -> tuple[int, int, int, int]:
    """u = scale * (x + cubic * ((x * x) * x)) and its intermediate values."""
    square = mul(x, x)
    cube = mul(square, x)
    inner = add(x, mul(cube, GELU_CUBIC))
    return mul(inner, GELU_SCALE), inner, cube, square


def gelu_grad(grad: int, x: int, exact: bool) -> int:
    u, inner, cube, square = _gelu_inner(x)
    logistic = sigmoid(u)
    outer = _mul_grad(exact, grad, x, logistic)
    d_u = sigmoid_grad(_mul_grad(exact, grad, logistic, x), u, exact)
    d_inner = _mul_grad(exact, d_u, inner, GELU_SCALE)
    d_cube = _mul_grad(exact, d_inner, cube, GELU_CUBIC)
    by_factor = _mul_grad(exact, d_cube, x, square)
    d_square = _mul_grad(exact, d_cube, square, x)
    by_square = _mul_grad(exact, d_square, x, x)
    return add(add(add(outer, d_inner), by_factor), add(by_square, by_square))


def _maximum(row: Row) -> int:
    """Largest entry; NaN if there is one."""
    if any(map(scalar.is_nan, row)):
        return NAN
    # Ordering of floats by their bits: negative numbers descend with their magnitude.
    return max((flush(x) for x in row), key=lambda x: -(x & MAGNITUDE) if x & SIGN else x)


def scaled(x: int) -> int:
    """z = x log2(e), held at the largest finite magnitude where x is finite: a mask may be the lowest number."""
    z = mul(x, LOG2E)
    return z & SIGN | MAX if is_infinite(z) and not is_infinite(x) else z


def _powers(row: Row, shift: int) -> tuple[list[int], list[int]]:
    """z - shift and exp2(z - shift) with z = x log2(e)."""
    arguments = [add(scaled(x), negate(shift)) for x in row]
    return arguments, [exp2(z) for z in arguments]


def row_shift(row: Row) -> int:
    """floor(max(x log2(e))): what softmax subtracts before ``exp2``; scaling by 2**-shift is exact."""
    return scalar.floor(_maximum([scaled(x) for x in row]))


def softmax(row: Row) -> list[int]:
    powers = _powers(row, row_shift(row))[1]
    whole = total(powers)
    return [div(e, whole) for e in powers]


def softmax_grad(grad: Row, row: Row, exact: bool) -> list[int]:
    arguments, powers = _powers(row, row_shift(row))
    whole = total(powers)
    d_whole = total([_denominator_grad(exact, g, e, whole) for g, e in zip(grad, powers, strict=True)])
    d_powers = [add(_numerator_grad(exact, g, e, whole), d_whole) for g, e in zip(grad, powers, strict=True)]
    return _powers_grad(d_powers, row, arguments, exact)


def _powers_grad(d_powers: Row, row: Row, arguments: Row, exact: bool) -> list[int]:
    d_arguments = [_exp2_grad(exact, d, z) for d, z in zip(d_powers, arguments, strict=True)]
    return [_mul_grad(exact, d, x, LOG2E) for d, x in zip(d_arguments, row, strict=True)]


def _log_of_total(shift: int, whole: int) -> int:
    """shift + log2(whole): the base-2 logarithm of the unshifted sum, exact but for rounding."""
    return add(shift, log2(whole))


def _level(row: Row, shift: int) -> int:
    """(shift + log2(total)) / log2(e); the maximum itself where it was held."""
    if shift & MAGNITUDE == MAX:
        return _maximum(row)
    return div(_log_of_total(shift, total(_powers(row, shift)[1])), LOG2E)


def log_softmax(row: Row) -> list[int]:
    level = _level(row, row_shift(row))
    return [add(x, negate(level)) for x in row]


def log_softmax_grad(grad: Row, row: Row, exact: bool) -> list[int]:
    d_row = _logsumexp_grad(negate(total(grad)), row, row_shift(row), exact)
    return [add(g, d) for g, d in zip(grad, d_row, strict=True)]


def _finite_shift(row: Row) -> int:
    """The shift of ``logsumexp``: 0 where the maximum is infinite, as in torch."""
    shift = row_shift(row)
    return 0 if is_infinite(shift) else shift


def logsumexp(row: Row) -> int:
    return _level(row, _finite_shift(row))


def logsumexp_grad(grad: int, row: Row, exact: bool) -> list[int]:
    return _logsumexp_grad(grad, row, _finite_shift(row), exact)


def _logsumexp_grad(grad: int, row: Row, shift: int, exact: bool) -> list[int]:
    arguments, powers = _powers(row, shift)
    whole = total(powers)
    d_logarithm = _numerator_grad(exact, grad, _log_of_total(shift, whole), LOG2E)
    d_whole = _log2_grad(exact, d_logarithm, whole)
    return _powers_grad([d_whole] * len(row), row, arguments, exact)


def smoothing_weights(label_smoothing: float, classes: int) -> tuple[int, int]:
    """Weights of the target's term and of the sum over classes: 1 - s and s / classes (PAD)."""
    smoothing = bits(label_smoothing)
    return add(ONE, negate(smoothing)), div(smoothing, bits(float(classes)))


def cross_entropy(row: Row, target: int, label_smoothing: float) -> int:
    """Loss of one row: (1 - s)(-log p_target) + (s / K) sum(-log p); just the first term if s = 0."""
    logs = log_softmax(row)
    own = negate(logs[target])
    if is_zero(bits(label_smoothing)):
        return own
    by_target, by_class = smoothing_weights(label_smoothing, len(row))
    return add(mul(own, by_target), mul(negate(total(logs)), by_class))


def cross_entropy_grad(grad: int, row: Row, target: int, label_smoothing: float, exact: bool) -> list[int]:
    if is_zero(bits(label_smoothing)):
        d_logs = [0] * len(row)
        d_logs[target] = negate(grad)
    else:
        logs = log_softmax(row)
        by_target, by_class = smoothing_weights(label_smoothing, len(row))
        d_all = negate(_mul_grad(exact, grad, negate(total(logs)), by_class))
        d_own = negate(_mul_grad(exact, grad, negate(logs[target]), by_target))
        d_logs = [d_all] * len(row)
        d_logs[target] = add(d_all, d_own)
    return log_softmax_grad(d_logs, row, exact)


def mean(row: Row) -> int:
    return div(total(row), bits(float(len(row))))


def layer_norm(row: Row, weight: Row, bias: Row, eps: float) -> list[int]:
    """((x - mean) / sqrt(var + eps)) * weight + bias; weight and bias may be left out by the caller."""
    centred, root, _ = _layer_norm_parts(row, eps)
    return [add(mul(div(c, root), w), b) for c, w, b in zip(centred, weight, bias, strict=True)]


def _layer_norm_parts(row: Row, eps: float) -> tuple[list[int], int, int]:
    middle = mean(row)
    centred = [add(x, negate(middle)) for x in row]
    variance = add(mean([mul(c, c) for c in centred]), bits(eps))
    return centred, sqrt(variance), variance


def layer_norm_grad(grad: Row, row: Row, weight: Row, eps: float, exact: bool) -> tuple[list[int], list[int]]:
    """Gradient by the row, and this row's terms of the gradient by the weight."""
    count = bits(float(len(row)))
    centred, root, variance = _layer_norm_parts(row, eps)
    normal = [div(c, root) for c in centred]
    d_weight = [_mul_grad(exact, g, w, y) for g, w, y in zip(grad, weight, normal, strict=True)]
    d_normal = [_mul_grad(exact, g, y, w) for g, y, w in zip(grad, normal, weight, strict=True)]
    d_root = total([_denominator_grad(exact, d, c, root) for d, c in zip(d_normal, centred, strict=True)])
    squares = total([mul(c, c) for c in centred])
    d_square = _numerator_grad(exact, sqrt_grad(d_root, variance, exact), squares, count)
    d_centred = []
    for d, c in zip(d_normal, centred, strict=True):
        by_square = _mul_grad(exact, d_square, c, c)
        d_centred.append(add(_numerator_grad(exact, d, c, root), add(by_square, by_square)))
    d_mean = negate(total(d_centred))
    d_term = _numerator_grad(exact, d_mean, total(row), count)
    return [add(d, d_term) for d in d_centred], d_weight
