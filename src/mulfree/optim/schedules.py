"""Learning rate schedules in integer shifts and additions, and one PAM at the end.

The rate is a closed form of the step, so a schedule that is resumed goes on exactly and nothing drifts. Factors come
from ``numerics.fixed_point`` and are those of ordinary arithmetic, rounded to float32; the base rate takes them by
PAM. Schedules named as torch's have torch's constructors, state dicts and formulas. Since a rate is computed from the
base rate, not from the last one, two of them cannot be chained; ``torch.optim.lr_scheduler.SequentialLR`` works.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import lr_scheduler

from mulfree.functional._explained import explained
from mulfree.numerics import fixed_point, scalar
from mulfree.numerics.fixed_point import BITS, fraction, half_cosine, repeated
from mulfree.numerics.number import PA

ONE = PA(1.0)


class _Schedule(lr_scheduler.LRScheduler):
    """Rates as a closed form of ``last_epoch``, the number of ``step()`` calls so far."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        constructor: Any = cls.__init__
        cls.__init__ = explained(constructor, cls.__name__)  # type: ignore[method-assign]

    def get_lr(self) -> list[float | Tensor]:
        return [float(self._rate(PA(float(base)), self.last_epoch)) for base in self.base_lrs]

    def _get_closed_form_lr(self) -> list[float | Tensor]:
        """What torch takes where it sets the step itself."""
        return self.get_lr()

    def _rate(self, base: PA, step: int) -> PA:
        return base * self._factor(step)

    def _factor(self, step: int) -> PA:
        raise NotImplementedError


class ConstantLR(_Schedule, lr_scheduler.ConstantLR):
    """``torch.optim.lr_scheduler.ConstantLR``: ``mul(base, factor)`` for ``total_iters`` steps, then the base rate."""

    def _factor(self, step: int) -> PA:
        return PA(self.factor) if step < self.total_iters else ONE


class LinearLR(_Schedule, lr_scheduler.LinearLR):
    """``torch.optim.lr_scheduler.LinearLR``: the factor goes from ``start_factor`` to ``end_factor``.

    With ``end_factor=1`` it is a warm-up.
    """

    def _factor(self, step: int) -> PA:
        if step >= self.total_iters:
            return PA(self.end_factor)
        start, end = _fixed(self.start_factor), _fixed(self.end_factor)
        terms = repeated(start, self.total_iters - step) + repeated(end, step)
        return _to_float(fraction(terms, repeated(1 << BITS, self.total_iters)))


class StepLR(_Schedule, lr_scheduler.StepLR):
    """``torch.optim.lr_scheduler.StepLR``: the factor ``gamma ** (step // step_size)``."""

    def _factor(self, step: int) -> PA:
        return _power(self.gamma, step // int(self.step_size))


class MultiStepLR(_Schedule, lr_scheduler.MultiStepLR):
    """``torch.optim.lr_scheduler.MultiStepLR``: ``gamma`` to the power of the number of milestones reached."""

    def _factor(self, step: int) -> PA:
        return _power(self.gamma, sum(count for milestone, count in self.milestones.items() if milestone <= step))


class ExponentialLR(_Schedule, lr_scheduler.ExponentialLR):
    """``torch.optim.lr_scheduler.ExponentialLR``: the factor ``gamma ** step``."""

    def _factor(self, step: int) -> PA:
        return _power(self.gamma, step)


class PolynomialLR(_Schedule, lr_scheduler.PolynomialLR):
    """``torch.optim.lr_scheduler.PolynomialLR``: ``(1 - step / total_iters) ** power``, zero from there on."""

    def _factor(self, step: int) -> PA:
        if self.power < 0:
            raise ValueError(f"PolynomialLR: power must not be negative, got {self.power}")
        left = self.total_iters - min(step, self.total_iters)
        exponent, fraction_bits = _as_fixed_point(self.power)
        return PA.of_word(fixed_point.power(_ratio(left, self.total_iters).word, exponent, fraction_bits))


class CosineAnnealingLR(_Schedule, lr_scheduler.CosineAnnealingLR):
    """``torch.optim.lr_scheduler.CosineAnnealingLR``: ``eta_min + mul(base - eta_min, (1 + cos(pi step/T_max)) / 2)``.

    As in torch it rises again after ``T_max`` steps.
    """

    def _rate(self, base: PA, step: int) -> PA:
        half = int(self.T_max)
        phase = step % (2 * half)
        return _cosine(base, PA(float(self.eta_min)), min(phase, 2 * half - phase), half)


class InverseSquareRootLR(_Schedule):
    """Linear warm-up, then the inverse square root of the step (Vaswani et al. 2017, section 5.3).

    The factor of step t is ``(t + 1) / (warmup_steps + 1)`` up to 1 at t = warmup_steps, then
    ``sqrt((warmup_steps + 1) / (t + 1))``.

    Args:
        optimizer: its groups' rates are the highest rates, rounded to float32.
        warmup_steps: 0 for none.
        last_epoch: as in torch's schedulers.

    Raises:
        ValueError: ``warmup_steps`` is negative.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, warmup_steps: int = 0, last_epoch: int = -1) -> None:
        self.warmup_steps = _not_negative("warmup_steps", warmup_steps)
        super().__init__(optimizer, last_epoch)

    def _factor(self, step: int) -> PA:
        if step <= self.warmup_steps:
            return _ratio(step + 1, self.warmup_steps + 1)
        return PA.of_word(fixed_point.power(_ratio(self.warmup_steps + 1, step + 1).word, 1, fraction_bits=1))


class WarmupConstantLR(_Schedule):
    """Linear warm-up, then the base rate.

    Args:
        optimizer: its groups' rates are the base rates, rounded to float32.
        warmup_steps: 0 for none.
        last_epoch: as in torch's schedulers.
        start_lr: rate of the first step of the warm-up, see ``WarmupCosineLR``.

    Raises:
        ValueError: ``warmup_steps`` is negative, or ``start_lr`` not between 0 and the base rates.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        warmup_steps: int = 0,
        last_epoch: int = -1,
        *,
        start_lr: float | None = None,
    ) -> None:
        self.warmup_steps = _not_negative("warmup_steps", warmup_steps)
        self.start_lr = None if start_lr is None else _below_base("start_lr", start_lr, optimizer)
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: PA, step: int) -> PA:
        return base if step >= self.warmup_steps else _warmup(base, self.start_lr, step, self.warmup_steps)


class WarmupCosineLR(_Schedule):
    """Linear warm-up, then half a cosine down to ``min_lr``; afterwards the rate stays there.

    The rate of step t (the number of ``step()`` calls so far) is

    - ``mul(base, (t + 1) / (warmup_steps + 1))`` for t < warmup_steps, or with a ``start_lr``
      ``start_lr + mul(base - start_lr, t / warmup_steps)``;
    - ``min_lr + mul(base - min_lr, (1 + cos(pi p)) / 2)`` with
      p = (t - warmup_steps) / (total_steps - warmup_steps);
    - exactly ``min_lr`` for t >= total_steps. It is exactly the base rate at t = warmup_steps.

    Fractions come from a long division by shift and subtract and the cosine from CORDIC, both on integers;
    the factors are rounded to float32 and applied by PAM.

    Args:
        optimizer: its groups' rates are the base rates, rounded to float32.
        total_steps: steps until the minimum, warm-up included; at least ``warmup_steps + 1``.
        warmup_steps: 0 for none.
        min_lr: not negative and not above the base rates.
        last_epoch: as in torch's schedulers.
        start_lr: rate of the first step of the warm-up; None for the base rate / (warmup_steps + 1).

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        warmup_steps: int = 0,
        min_lr: float = 0.0,
        last_epoch: int = -1,
        *,
        start_lr: float | None = None,
    ) -> None:
        self.warmup_steps = _not_negative("warmup_steps", warmup_steps)
        if total_steps <= warmup_steps:
            raise ValueError(f"total_steps must be above warmup_steps {warmup_steps}, got {total_steps}")
        self.total_steps = total_steps
        self.min_lr = _below_base("min_lr", min_lr, optimizer)
        self.start_lr = None if start_lr is None else _below_base("start_lr", start_lr, optimizer)
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: PA, step: int) -> PA:
        if step < self.warmup_steps:
            return _warmup(base, self.start_lr, step, self.warmup_steps)
        length = self.total_steps - self.warmup_steps
        return _cosine(base, PA(self.min_lr), min(step - self.warmup_steps, length), length)


def _not_negative(name: str, value: int) -> int:
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return value


def _below_base(name: str, rate: float, optimizer: torch.optim.Optimizer) -> float:
    lowest = min(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
    if not 0.0 <= rate <= lowest:
        raise ValueError(f"{name} must be between 0 and the base rate {lowest}, got {rate}")
    return rate


def _warmup(base: PA, start: float | None, step: int, length: int) -> PA:
    """A step of a linear warm-up, ``step`` < ``length``."""
    if start is None:
        return base * _ratio(step + 1, length + 1)
    return PA(start) + (base - PA(start)) * _ratio(step, length)


def _ratio(numerator: int, denominator: int) -> PA:
    return _to_float(fraction(numerator, denominator))


def _to_float(number: int) -> PA:
    return PA.of_word(scalar.from_fixed_point(number, BITS))


def _cosine(base: PA, lowest: PA, step: int, length: int) -> PA:
    """Half a cosine from ``base`` at step 0 to ``lowest`` at step ``length``; the ends are exact."""
    if step == 0:
        return base
    if step == length:
        return lowest
    return lowest + (base - lowest) * _to_float(half_cosine(fraction(step, length)))


def _power(gamma: float, exponent: int) -> PA:
    """``gamma`` rounded to float32, to the power of a whole number that is not negative."""
    if not gamma >= 0.0:
        raise ValueError(f"gamma must not be negative, got {gamma}")
    return PA.of_word(fixed_point.power(scalar.bits(gamma), exponent))


def _fixed(number: float) -> int:
    """``number`` with ``BITS`` fraction bits."""
    numerator, fraction_bits = _as_fixed_point(number)
    return numerator << BITS >> fraction_bits


def _as_fixed_point(number: float) -> tuple[int, int]:
    """The integer and its number of fraction bits that ``number`` is exactly."""
    numerator, denominator = number.as_integer_ratio()
    return numerator, denominator.bit_length() - 1
