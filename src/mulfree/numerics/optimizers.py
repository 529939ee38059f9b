"""The law of the optimizers' steps: one parameter, in the order of every addition (``docs/spec.md``, section 9).

Numbers are bits, as in ``scalar.py``. A weight decay of zero leaves the gradient as it is.
"""

from __future__ import annotations

from mulfree.numerics.formats import MAGNITUDE, NAN, ONE, SIGN
from mulfree.numerics.rows import sqrt
from mulfree.numerics.scalar import add, div, flush, is_nan, is_zero, mul, negate, power


def decayed(grad: int, param: int, weight_decay: int) -> int:
    """The gradient of the loss with an L2 penalty: grad + weight_decay * param."""
    return grad if is_zero(weight_decay) else add(grad, mul(weight_decay, param))


def _toward(average: int, target: int, share: int) -> int:
    """The average moved by ``share`` of its distance to ``target``.

    Equal operands are a fixed point of this form. They are none of ``mul(average, 1 - share) + mul(target, share)``:
    there PA products, which are constant within an octave where products are not, pull averages to powers of two.
    """
    return add(average, mul(share, add(target, negate(average))))


def moving_average(average: int, param: int, share: int) -> int:
    """One update of an average of weights; ``share`` is 1 - decay."""
    return _toward(average, param, share)


def adamw(
    state: tuple[int, int, int, int],
    *,
    lr: int,
    beta1: int,
    beta2: int,
    eps: int,
    decay: int,
    correction1: int,
    correction2: int,
) -> tuple[int, int, int]:
    """One AdamW step of (param, grad, exp_avg, exp_avg_sq) -> (param, exp_avg, exp_avg_sq).

    ``decay`` is lr * weight_decay; the corrections are 1 - beta**step (``adamw_correction``).
    """
    param, grad, m, v = state
    m = add(mul(m, beta1), mul(grad, add(ONE, negate(beta1))))
    v = add(mul(v, beta2), mul(mul(grad, grad), add(ONE, negate(beta2))))
    root = add(sqrt(div(v, correction2)), eps)
    step = mul(lr, div(div(m, correction1), root))
    param = add(param, negate(mul(decay, param)))
    return add(param, negate(step)), m, v


def adamw_correction(beta: int, step: int) -> int:
    """1 - beta**step."""
    return add(ONE, negate(power(beta, step)))


def sgd(
    state: tuple[int, int, int], *, lr: int, momentum: int, rest: int, weight_decay: int, nesterov: bool
) -> tuple[int, int]:
    """One step of (param, grad, momentum_buffer) -> (param, momentum_buffer); without momentum the buffer is unused.

    ``rest`` is 1 - dampening. The first step has a buffer of +0 and a ``rest`` of 1.
    """
    param, grad, buffer = state
    grad = decayed(grad, param, weight_decay)
    if not is_zero(momentum):
        buffer = add(mul(buffer, momentum), mul(grad, rest))
        grad = add(grad, mul(momentum, buffer)) if nesterov else buffer
    return add(param, negate(mul(lr, grad))), buffer


def _larger(a: int, b: int) -> int:
    """The larger number, ``b`` where they are equal; NaN if there is one."""
    if is_nan(a) or is_nan(b):
        return NAN
    a = flush(a)
    return a if _order(a) > _order(b) else b


def _order(a: int) -> int:
    """Ordering of floats by their bits: negative numbers descend with their magnitude."""
    a = flush(a)
    return -(a & MAGNITUDE) if a & SIGN else a


def adam(
    state: tuple[int, int, int, int, int],
    *,
    lr: int,
    beta1: int,
    beta2: int,
    eps: int,
    weight_decay: int,
    decay: int,
    correction1: int,
    correction2: int,
    amsgrad: bool,
) -> tuple[int, int, int, int]:
    """One step of (param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq); all but the gradient are returned.

    ``weight_decay`` is that of Adam (an L2 penalty), ``decay`` is lr * weight_decay of AdamW. With ``amsgrad`` the
    root is that of the largest second moment so far. ``max_exp_avg_sq`` is unused without.
    """
    param, grad, m, v, most = state
    grad = decayed(grad, param, weight_decay)
    if not amsgrad:
        param, m, v = adamw(
            (param, grad, m, v), lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay,
            correction1=correction1, correction2=correction2,
        )  # fmt: skip
        return param, m, v, most
    m = add(mul(m, beta1), mul(grad, add(ONE, negate(beta1))))
    v = add(mul(v, beta2), mul(mul(grad, grad), add(ONE, negate(beta2))))
    most = _larger(most, v)
    root = add(sqrt(div(most, correction2)), eps)
    step = mul(lr, div(div(m, correction1), root))
    param = add(param, negate(mul(decay, param)))
    return add(param, negate(step)), m, v, most


def _not_below_zero(a: int) -> int:
    return 0 if a & SIGN else a


def rmsprop(
    state: tuple[int, int, int, int, int],
    *,
    lr: int,
    alpha: int,
    eps: int,
    weight_decay: int,
    momentum: int,
    centered: bool,
) -> tuple[int, int, int, int]:
    """One step of (param, grad, square_avg, grad_avg, momentum_buffer); all but the gradient are returned.

    The centered form follows the variance itself, ``square_avg - grad_avg**2``: it grows by the squared distance
    of the gradient from its average. A difference of two PA averages could be far below zero.
    """
    param, grad, square, middle, buffer = state
    grad = decayed(grad, param, weight_decay)
    rest = add(ONE, negate(alpha))
    if centered:
        variance = _not_below_zero(add(square, negate(mul(middle, middle))))
        distance = add(grad, negate(middle))
        middle = _toward(middle, grad, rest)
        variance = mul(alpha, add(variance, mul(rest, mul(distance, distance))))
        square = add(variance, mul(middle, middle))
    else:
        square = variance = add(mul(square, alpha), mul(mul(grad, grad), rest))
    step = div(grad, add(sqrt(variance), eps))
    if not is_zero(momentum):
        step = buffer = add(mul(buffer, momentum), step)
    return add(param, negate(mul(lr, step))), square, middle, buffer


def _sign(a: int) -> int:
    """-1, +0 or 1; NaN of a NaN."""
    if is_nan(a):
        return NAN
    return 0 if is_zero(a) else (a & SIGN) | ONE


def lion(state: tuple[int, int, int], *, lr: int, beta1: int, beta2: int, decay: int) -> tuple[int, int]:
    """One step of (param, grad, exp_avg) -> (param, exp_avg): algorithm 2 of Chen et al. 2023.

    ``decay`` is lr * weight_decay.
    """
    param, grad, m = state
    direction = _sign(add(mul(m, beta1), mul(grad, add(ONE, negate(beta1)))))
    param = add(param, negate(mul(decay, param)))
    m = add(mul(m, beta2), mul(grad, add(ONE, negate(beta2))))
    return add(param, negate(mul(lr, direction))), m
