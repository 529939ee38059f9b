"""Compensation of the error of PAM (section 2.7): which α serves best.

PAM of ``x1`` and ``x2`` with mantissas ``M1`` and ``M2``, compensated by α, differs from their product by

    r(M1, M2; c) = paexp2(M1 + M2 + c) / ((1 + M1) (1 + M2)) - 1,        c = palog2(α) = α - 1 from α = 1 to 2,

whatever the exponents and signs. Only the sum ``s = M1 + M2`` meets α, so each mean over both mantissas is an integral
over ``s``, with a closed form for the weight of ``s``: ``Mantissas``. Between the corners of paexp2 the integrands are
smooth, and Gauss' rule on each part is exact to rounding.

Without compensation no product is too large; with ``c = 3 - sqrt(8)`` none is too small. Every optimum lies between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from mulfree.numerics import scalar
from mulfree.numerics.formats import INF, MANTISSA, MIN, STEP

Density = Literal["uniform", "logarithmic"]
"""Of a mantissa ``M`` in [0, 1): constant, or ``1 / ((1 + M) ln 2)``, Benford's, that of numbers of all magnitudes."""
Criterion = Literal["mean", "mean square", "worst case", "product mean"]
"""What α makes best: the mean relative error 0, its mean square least, the greatest absolute one least, or the mean of
the PAM products that of the true products."""

DENSITIES: tuple[Density, ...] = get_args(Density)
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
CONSTANTS = {"log2(e)": math.log2(math.e), "ln(2)": math.log(2), "1.5": 1.5, "1/3": 1 / 3}
"""Factors that are known ahead of time; the first two are those of paexp and palog (eqs. 18, 19)."""

_LARGEST = 3 - math.sqrt(8)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """Relative errors of PAM products.

    Attributes:
        mean: over the mantissas.
        rms: root of the mean square.
        least: the worst negative error, or 0 if there is none.
        greatest: the worst positive error, or 0 if there is none.
        product_mean: relative error of the mean of the products.
    """

    mean: float
    rms: float
    least: float
    greatest: float
    product_mean: float

    @property
    def worst(self) -> float:
        return max(-self.least, self.greatest)


@dataclass(frozen=True)
class Optimum:
    """The best compensation by one criterion.

    Attributes:
        criterion, density: what was asked for.
        constant: the known factor, rounded to float32; None if both factors vary.
        alpha: a float32 number; ``after`` is what this number does.
        folded: PAM of the constant and α. A product by it is the compensated product, bit by bit and at no cost,
            because PAM is associative (spec 2). None without a constant.
        before, after: without compensation, and with α.
    """

    criterion: Criterion
    density: Density
    constant: float | None
    alpha: float
    folded: float | None
    before: Errors
    after: Errors


class Mantissas(Protocol):
    """What the mean over mantissas needs to know of the sums ``s`` of two of them."""

    @property
    def ends(self) -> tuple[float, ...]:
        """The least sum, the greatest, and where the weight has a corner in between; ascending."""
        ...

    @property
    def product(self) -> float:
        """Mean of ``p = (1 + M1) (1 + M2)``."""
        ...

    def weight(self, s: Values, power: int) -> Values:
        """The density of ``s`` times the mean of ``p ** -power`` at that ``s``."""
        ...

    def products(self, s: float) -> tuple[float, float]:
        """The least and the greatest ``p`` at ``s``."""
        ...


@dataclass(frozen=True)
class BothVary:
    """Two independent mantissas of one density."""

    density: Density

    @property
    def ends(self) -> tuple[float, ...]:
        return 0.0, 1.0, 2.0

    @property
    def product(self) -> float:
        return 2.25 if self.density == "uniform" else math.log(2) ** -2

    def weight(self, s: Values, power: int) -> Values:
        """Integrals of ``(A B) ** -power`` with ``A = 1 + M`` and ``B = 1 + s - M`` over ``M``, in partial fractions.

        The logarithmic density is one power more.
        """
        low, high = 1 + np.maximum(0.0, s - 1), 1 + np.minimum(1.0, s)
        total = 2 + s  # A + B, so 1 / (A B) = (1/A + 1/B) / total
        first = 2 * np.log(high / low) / total
        second = 2 * (1 / low - 1 / high + first) / total**2
        third = (low**-2 - high**-2) / total**3 + 3 * second / total**2
        integrals: Sequence[Values] = (high - low, first, second, third)
        return integrals[power] if self.density == "uniform" else integrals[power + 1] / math.log(2) ** 2

    def products(self, s: float) -> tuple[float, float]:
        return (1 + s if s <= 1 else 2 * s), (1 + s / 2) ** 2


@dataclass(frozen=True)
class OneKnown:
    """A mantissa of a density, and a known one."""

    density: Density
    mantissa: float

    @property
    def ends(self) -> tuple[float, ...]:
        return self.mantissa, 1 + self.mantissa

    @property
    def product(self) -> float:
        return (1 + self.mantissa) * (1.5 if self.density == "uniform" else 1 / math.log(2))

    def weight(self, s: Values, power: int) -> Values:
        varying: Values = 1 + s - self.mantissa
        density = np.ones_like(s) if self.density == "uniform" else 1 / (varying * math.log(2))
        return density * ((1 + self.mantissa) * varying) ** -power

    def products(self, s: float) -> tuple[float, float]:
        product = (1 + self.mantissa) * (1 + s - self.mantissa)
        return product, product


def paexp2(u: Values) -> Values:
    """Eq. 9 without its rounding."""
    whole = np.floor(u)
    return np.ldexp(1 + u - whole, whole.astype(np.int64))


def errors(alpha: float, density: Density = "uniform", constant: float | None = None) -> Errors:
    """Relative errors of PAM compensated by ``alpha`` (section 2.7).

    Args:
        alpha: rounded to float32; from 0.5 to below 2. 1 is no compensation.
        density: of the mantissas that vary.
        constant: one of the factors, if it is known; positive.

    Raises:
        ValueError: an argument is none of the above; the message names it.
    """
    if not 0.5 <= alpha < 2:
        raise ValueError(f"alpha must be at least 0.5 and below 2, got {alpha}")
    return _errors(_mantissas(density, constant), _logarithm(alpha))


def best_compensation(criterion: Criterion, density: Density = "uniform", constant: float | None = None) -> Optimum:
    """The α that is best by ``criterion`` (section 2.7), for a pair of varying factors or for a known one and another.

    For a pair, "worst case" solves ``(2 - α) (4 - α)**2 = 8``, and "product mean" of uniform mantissas
    ``α**3 + 6 α = 15 / 2``. "mean" of uniform mantissas and "product mean" of logarithmic ones are one equation.
    For a constant of mantissa ``m``, "worst case" is ``α = 1 + (3 - sqrt(9 - 4 m (1 - m))) / 2``, and "mean square" of
    logarithmic mantissas is the same.

    Args:
        criterion: what α makes best.
        density: of the mantissas that vary; "worst case" does not depend on it.
        constant: a positive factor, finite and normal in float32. The errors of a negative one are those of its
            magnitude.

    Raises:
        ValueError: an argument is none of the above; the message names it.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, got {criterion!r}")
    mantissas = _mantissas(density, constant)
    alpha = to_float32(1 + root(_equation(criterion, mantissas)))
    word = None if constant is None else scalar.bits(constant)
    return Optimum(
        criterion,
        density,
        None if word is None else scalar.value(word),
        alpha,
        None if word is None else scalar.value(scalar.mul(word, scalar.bits(alpha))),
        _errors(mantissas, 0.0),
        _errors(mantissas, _logarithm(alpha)),
    )


def _mantissas(density: Density, constant: float | None) -> Mantissas:
    if density not in DENSITIES:
        raise ValueError(f"density must be one of {', '.join(DENSITIES)}, got {density!r}")
    if constant is None:
        return BothVary(density)
    word = scalar.bits(constant)
    if not MIN <= word < INF:
        raise ValueError(f"constant must be positive, finite and normal in float32, got {constant}")
    return OneKnown(density, (word & MANTISSA) / STEP)


def to_float32(x: float) -> float:
    return scalar.value(scalar.bits(x))


def _logarithm(alpha: float) -> float:
    """palog2 of ``alpha``: what compensation adds to the sum of the mantissas."""
    return scalar.compensation_offset(scalar.bits(alpha)) / STEP


def _equation(criterion: Criterion, mantissas: Mantissas) -> Callable[[float], float]:
    """A function of ``c`` that grows through 0 at the optimum."""
    if criterion == "mean":
        return lambda c: moment(mantissas, c, 1) - 1
    if criterion == "mean square":  # half the derivative of the mean square by c
        return lambda c: _slope(mantissas, c)
    if criterion == "worst case":
        return lambda c: sum(_extremes(mantissas, c))
    return lambda c: _integral(mantissas, c, paexp2, 0) - mantissas.product


def root(equation: Callable[[float], float]) -> float:
    """Bisection to the last bit; 0 where compensation has nothing to correct."""
    low, high = 0.0, _LARGEST
    if equation(low) >= 0:
        return low
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if equation(middle) < 0 else (low, middle)
    return high


def _errors(mantissas: Mantissas, c: float) -> Errors:
    first = moment(mantissas, c, 1)
    square = moment(mantissas, c, 2) - 2 * first + 1
    least, greatest = _extremes(mantissas, c)
    product_mean = _integral(mantissas, c, paexp2, 0) / mantissas.product - 1
    return Errors(first - 1, math.sqrt(max(0.0, square)), min(0.0, least), max(0.0, greatest), product_mean)


def _extremes(mantissas: Mantissas, c: float) -> tuple[float, float]:
    """The least and the greatest relative error.

    At one ``s``, extremes lie on the diagonal of the square of mantissas (the least) and on its edges (the greatest).
    Within a part, where paexp2 is affine, the error has no minimum along the diagonal and is monotone along an edge;
    so both lie at the ends of parts.
    """
    ratios = []
    for s in _parts(mantissas, c):
        smallest, largest = mantissas.products(s)
        approximate = float(paexp2(np.array([s + c]))[0])
        ratios.append((approximate / largest - 1, approximate / smallest - 1))
    return min(least for least, _ in ratios), max(greatest for _, greatest in ratios)


def _parts(mantissas: Mantissas, c: float) -> list[float]:
    """Ends of the intervals of ``s`` on which everything is smooth."""
    first, *_, last = mantissas.ends
    corners = [corner - c for corner in range(-1, 4)]
    return sorted({*mantissas.ends, *(s for s in corners if first < s < last)})


def _nodes(mantissas: Mantissas, c: float) -> Iterator[tuple[Values, Values]]:
    """Sums and the weights of Gauss' rule at them, for one part after the other."""
    parts = _parts(mantissas, c)
    for start, end in pairwise(parts):
        half = (end - start) / 2
        yield start + half * (1 + _NODES), half * _WEIGHTS


def _integral(mantissas: Mantissas, c: float, function: Callable[[Values], Values], power: int) -> float:
    """Mean of ``function(s + c) * p ** -power``."""
    return sum(float(weights @ (function(s + c) * mantissas.weight(s, power))) for s, weights in _nodes(mantissas, c))


def moment(mantissas: Mantissas, c: float, power: int) -> float:
    """Mean of ``(1 + r) ** power``."""
    return _integral(mantissas, c, lambda u: paexp2(u) ** power, power)


def _slope(mantissas: Mantissas, c: float) -> float:
    """Mean of ``r`` times its derivative by ``c``."""
    square = _integral(mantissas, c, lambda u: paexp2(u) * np.exp2(np.floor(u)), 2)
    return square - _integral(mantissas, c, lambda u: np.exp2(np.floor(u)), 1)
