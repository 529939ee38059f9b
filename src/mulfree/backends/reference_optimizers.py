"""The optimizers' steps, ``numerics/optimizers.py`` function by function, as the part of the reference backend that
changes tensors in place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mulfree.backends import reference_words as word
from mulfree.backends.contract import AdamScalars, AdamWScalars, Backend, LionScalars, RMSpropScalars, SGDScalars
from mulfree.backends.reference_rows import adamw, sqrt
from mulfree.backends.reference_words import add, constant, div, floats, flush, is_nan, mul, negate, words
from mulfree.numerics import scalar
from mulfree.numerics.formats import MAGNITUDE, NAN, ONE, SIGN


class ReferenceOptimizers(Backend):
    """Steps of the optimizers in torch integer operations and float additions."""

    def adamw_(self, param: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, scalars: AdamWScalars) -> None:
        updated = adamw(words(param), words(grad), words(exp_avg), words(exp_avg_sq), scalars)
        _write((param, exp_avg, exp_avg_sq), updated)

    def sgd_(self, param: Tensor, grad: Tensor, momentum_buffer: Tensor | None, scalars: SGDScalars) -> None:
        p, g = words(param), words(grad)
        g = _decayed(g, p, scalars.weight_decay)
        if momentum_buffer is not None:
            momentum = constant(scalars.momentum, p)
            buffer = add(mul(words(momentum_buffer), momentum), mul(g, constant(scalars.rest, p)))
            g = add(g, mul(momentum, buffer)) if scalars.nesterov else buffer
            _write((momentum_buffer,), (buffer,))
        _write((param,), (_descend(p, scalars.lr, g),))

    def adam_(
        self,
        param: Tensor,
        grad: Tensor,
        exp_avg: Tensor,
        exp_avg_sq: Tensor,
        max_exp_avg_sq: Tensor | None,
        scalars: AdamScalars,
    ) -> None:
        p, g, m, v = words(param), words(grad), words(exp_avg), words(exp_avg_sq)
        g = _decayed(g, p, scalars.weight_decay)
        if max_exp_avg_sq is None:
            _write((param, exp_avg, exp_avg_sq), adamw(p, g, m, v, scalars))
            return
        m = _blend(m, g, scalars.beta1)
        v = _blend(v, mul(g, g), scalars.beta2)
        most = _larger(words(max_exp_avg_sq), v)
        root = add(sqrt(div(most, constant(scalars.correction2, p))), constant(scalars.eps, p))
        direction = div(div(m, constant(scalars.correction1, p)), root)
        shrunk = _descend(p, scalars.decay, p)
        _write((param, exp_avg, exp_avg_sq, max_exp_avg_sq), (_descend(shrunk, scalars.lr, direction), m, v, most))

    def rmsprop_(
        self,
        param: Tensor,
        grad: Tensor,
        square_avg: Tensor,
        grad_avg: Tensor | None,
        momentum_buffer: Tensor | None,
        scalars: RMSpropScalars,
    ) -> None:
        p, g, square = words(param), words(grad), words(square_avg)
        g = _decayed(g, p, scalars.weight_decay)
        if grad_avg is not None:
            alpha, middle = constant(scalars.alpha, p), words(grad_avg)
            rest = add(constant(ONE, p), negate(alpha))
            variance = add(square, negate(mul(middle, middle)))
            variance = torch.where((variance & SIGN) != 0, 0, variance)
            distance = add(g, negate(middle))
            middle = add(middle, mul(rest, distance))
            variance = mul(alpha, add(variance, mul(rest, mul(distance, distance))))
            square = add(variance, mul(middle, middle))
            _write((grad_avg,), (middle,))
        else:
            square = variance = _blend(square, mul(g, g), scalars.alpha)
        step = div(g, add(sqrt(variance), constant(scalars.eps, p)))
        if momentum_buffer is not None:
            step = add(mul(words(momentum_buffer), constant(scalars.momentum, p)), step)
            _write((momentum_buffer,), (step,))
        _write((param, square_avg), (_descend(p, scalars.lr, step), square))

    def lion_(self, param: Tensor, grad: Tensor, exp_avg: Tensor, scalars: LionScalars) -> None:
        p, g, m = words(param), words(grad), words(exp_avg)
        mixed = _blend(m, g, scalars.beta1)
        direction = torch.where(word.is_zero(mixed), 0, (mixed & SIGN) | ONE)
        direction = torch.where(is_nan(mixed), NAN, direction)
        p = _descend(_descend(p, scalars.decay, p), scalars.lr, direction)
        _write((param, exp_avg), (p, _blend(m, g, scalars.beta2)))

    def moving_average_(self, average: Tensor, param: Tensor, share: int) -> None:
        a = words(average)
        distance = add(words(param), negate(a))
        _write((average,), (add(a, mul(constant(share, a), distance)),))


def _write(tensors: Sequence[Tensor], updated: Sequence[Tensor]) -> None:
    for old, new in zip(tensors, updated, strict=True):
        old.copy_(floats(new))


def _decayed(grad: Tensor, param: Tensor, weight_decay: int) -> Tensor:
    return grad if scalar.is_zero(weight_decay) else add(grad, mul(constant(weight_decay, param), param))


def _blend(average: Tensor, x: Tensor, beta: int) -> Tensor:
    """average * beta + x * (1 - beta)."""
    share = constant(beta, x)
    return add(mul(average, share), mul(x, add(constant(ONE, x), negate(share))))


def _descend(param: Tensor, rate: int, direction: Tensor) -> Tensor:
    return add(param, negate(mul(constant(rate, param), direction)))


def _larger(a: Tensor, b: Tensor) -> Tensor:
    """The larger numbers, those of ``b`` where they are equal; NaN if there is one."""
    a, order = flush(a), [torch.where((x & SIGN) != 0, -(x & MAGNITUDE), x) for x in (flush(a), flush(b))]
    return torch.where(is_nan(a) | is_nan(b), NAN, torch.where(order[0] > order[1], a, b))
