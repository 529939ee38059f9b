"""Learning rate schedules in integer shifts and additions, and one PAM at the end."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.numerics import scalar

_BITS = 48
"""Fraction bits of the fixed-point numbers below."""
_HALF = 1 << (_BITS - 1)
_ANGLES = (
    70368744177664, 41541095341030, 21949173906887, 11141743393723, 5592492416177, 2798972482057, 1399827773520,
    699956601769, 349983640994, 174992488033, 87496327459, 43748174160, 21874088384, 10937044355, 5468522198,
    2734261101, 1367130551, 683565276, 341782638, 170891319, 85445659, 42722830, 21361415, 10680707, 5340354,
    2670177, 1335088, 667544, 333772, 166886, 83443, 41722, 20861, 10430,
)  # fmt: skip
"""atan(2**-i) / pi: the angles of the CORDIC rotations, in half turns."""
_GAIN = 170926505739102
"""Product of cos(atan(2**-i)): the length that the rotations stretch to 1."""


def fraction(numerator: int, denominator: int, fraction_bits: int = _BITS) -> int:
    """numerator / denominator in [0, 1] as fixed point, rounded down: long division by shift and subtract.

    Raises:
        ValueError: the fraction is not within [0, 1].
    """
    if not 0 <= numerator <= denominator or denominator == 0:
        raise ValueError(f"fraction must be between 0 and 1, got {numerator}/{denominator}")
    quotient, rest = (1, 0) if numerator == denominator else (0, numerator)
    for _ in range(fraction_bits):
        quotient, rest = quotient << 1, rest << 1
        if rest >= denominator:
            quotient, rest = quotient + 1, rest - denominator
    return quotient


def half_cosine(angle: int) -> int:
    """(1 + cos(pi * angle)) / 2 for a fixed-point ``angle`` in [0, 1], by CORDIC; error below 2**-31.

    The ends and the middle are exact: 1, 1/2 and 0.
    """
    if angle == _HALF:
        return _HALF
    if angle > _HALF:
        return (1 << _BITS) - half_cosine((1 << _BITS) - angle)
    if angle == 0:
        return 1 << _BITS
    x, y = _GAIN, 0
    for i, step in enumerate(_ANGLES):
        if angle >= 0:
            x, y, angle = x - (y >> i), y + (x >> i), angle - step
        else:
            x, y, angle = x + (y >> i), y - (x >> i), angle + step
    return min((1 << _BITS) + x >> 1, 1 << _BITS)


class WarmupCosineLR(torch.optim.lr_scheduler.LRScheduler):
    """Linear warm-up, then half a cosine down to ``min_lr``; afterwards the rate stays there.

    The rate of step t (the number of ``step()`` calls so far) is

    - ``mul(base, (t + 1) / (warmup_steps + 1))`` for t < warmup_steps;
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
    ) -> None:
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps must not be negative, got {warmup_steps}")
        if total_steps <= warmup_steps:
            raise ValueError(f"total_steps must be above warmup_steps {warmup_steps}, got {total_steps}")
        lowest = min(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
        if not 0.0 <= min_lr <= lowest:
            raise ValueError(f"min_lr must be between 0 and the base rate {lowest}, got {min_lr}")
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.min_lr = min_lr
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        return [scalar.value(self._rate(scalar.bits(float(base)))) for base in self.base_lrs]

    def _rate(self, base: int) -> int:
        step, warmup, lowest = self.last_epoch, self.warmup_steps, scalar.bits(self.min_lr)
        if step < warmup:
            return scalar.mul(base, _to_float(fraction(step + 1, warmup + 1)))
        if step == warmup:
            return base
        if step >= self.total_steps:
            return lowest
        factor = _to_float(half_cosine(fraction(step - warmup, self.total_steps - warmup)))
        return scalar.add(lowest, scalar.mul(scalar.add(base, scalar.negate(lowest)), factor))


def _to_float(number: int) -> int:
    return scalar.from_fixed_point(number, _BITS)
