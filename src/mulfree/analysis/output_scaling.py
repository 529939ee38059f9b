"""A scale of the outputs of a matrix product in place of compensation within its products (section 2.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.analysis.compensation import Density, OneKnown, best_compensation, moment, root, to_float32

Operands = Literal["normal", "one ReLU", "both ReLU"]
"""Factors of a matrix product: normal ones, and with the negative ones of one or of both replaced by zeros."""
OPERANDS: tuple[Operands, ...] = get_args(Operands)


@dataclass(frozen=True)
class Scale:
    """A factor on each output of a matrix product in place of α within it.

    Attributes:
        alpha: the compensation with mean relative error 0 that it stands in for.
        exact: ``1 / (1 + mean relative error)``, for outputs that are scaled by a true product.
        realised: for outputs that are scaled by PAM, which errs itself: the factor whose PAM product with a number is
            ``exact`` times that number on average over mantissas of the density. A scale ``t`` that the outputs get
            anyway takes it over as PAM of ``t`` and ``realised``, at no cost.
    """

    alpha: float
    exact: float
    realised: float


@dataclass(frozen=True)
class DotProducts:
    """Errors of dot products of one length, relative to the root mean square of the true ones.

    Attributes:
        operands, length: of what.
        treatment: "none", "alpha" within each product, "exact" or "realised" scale of the outputs, or "fitted": the
            scale with the least error on these very numbers, which no scale can better.
        gain: the slope of the least squares line from true to computed dot products through the origin; 1 is no bias.
        rms: root mean square of the error.
    """

    operands: Operands
    length: int
    treatment: str
    gain: float
    rms: float


def output_scale(density: Density = "logarithmic") -> Scale:
    """The scale of the outputs of a matrix product that removes the bias of its products (section 2.7)."""
    optimum = best_compensation("mean", density)
    exact = 1 / (1 + optimum.before.mean)
    one = OneKnown(density, 0.0)
    return Scale(optimum.alpha, to_float32(exact), to_float32(1 + root(lambda c: moment(one, c, 1) - exact)))


def output_scaling(
    lengths: Sequence[int] = (16, 256, 4096), density: Density = "logarithmic", side: int = 256, seed: int = 0
) -> list[DotProducts]:
    """Compensation within products beside a scale of the outputs (section 2.7), on random matrix products.

    Args:
        lengths: of the dot products.
        density: that α and the scale are made for; the operands have their own.
        side: rows and columns of the results, ``side`` squared dot products.
        seed: of the operands.

    Raises:
        ValueError: a length or ``side`` is not positive.
    """
    if side < 1 or any(length < 1 for length in lengths):
        raise ValueError(f"lengths and side must be positive, got {tuple(lengths)} and {side}")
    scale = output_scale(density)
    results = []
    for operands in OPERANDS:
        for length in lengths:
            generator = torch.Generator().manual_seed(seed)
            a = torch.randn(side, length, generator=generator)
            b = torch.randn(length, side, generator=generator)
            if operands != "normal":
                a = a.relu()
            if operands == "both ReLU":
                b = b.relu()
            true = a.double() @ b.double()
            plain = MF.matmul(a, b)
            computed = {
                "none": plain.double(),
                "alpha": MF.matmul(a, b, compensation=scale.alpha).double(),
                "exact": plain.double() * scale.exact,
                "realised": MF.mul(plain, scale.realised).double(),
                "fitted": plain.double() * _regression(true, plain.double()),
            }
            size = float(true.square().mean().sqrt())
            for treatment, values in computed.items():
                rms = float((values - true).square().mean().sqrt()) / size
                results.append(DotProducts(operands, length, treatment, _regression(values, true), rms))
    return results


def _regression(y: Tensor, x: Tensor) -> float:
    """The factor of ``x`` that comes closest to ``y``."""
    return float((x * y).sum() / x.square().sum())
