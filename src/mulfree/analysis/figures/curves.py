"""What the figures show: functions, their piecewise affine forms, derivatives and errors, as arrays.

The standard function and its derivative are computed in float64 by NumPy, the piecewise affine function in float32
by ``mulfree.functional``, its derivatives by autograd. All are taken at the same float32 numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mulfree.functional import Derivative

Array = NDArray[np.float64]

DELTA_Y = 1.25
"""The incoming gradient of Figures 3 and 4. It is no power of two, so products with it show the error of PAM."""

_SAME = 2.0**-23
"""Errors that differ by less count as equal when the first point of an extreme is looked for: rounding to float32."""


@dataclass(frozen=True)
class Function:
    """A function, its piecewise affine form, and the interval on which they are compared.

    Attributes:
        name: plain text, for tables.
        label: the same in matplotlib's mathematical notation.
        standard, slope: the function and its derivative, in float64.
        affine: the piecewise affine function with the given kind of derivative.
        start, stop: ends of the interval, both part of it.
        step_bits: the points between are the multiples of ``2**-step_bits``, so powers of two are among them.
    """

    name: str
    label: str
    standard: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    affine: Callable[[Tensor, Derivative], Tensor]
    start: float
    stop: float
    step_bits: int = 10


@dataclass(frozen=True)
class Curves:
    """One function at the points ``x``. The derivatives are those for an incoming gradient of ``DELTA_Y``.

    So the derivative of the standard function is ``DELTA_Y * f'(x)``, and a relative error compares like with like.
    """

    x: Array
    standard: Array
    affine: Array
    standard_gradient: Array
    exact_gradient: Array
    approximate_gradient: Array

    @property
    def error(self) -> Array:
        """Relative error of the piecewise affine function."""
        return relative_error(self.affine, self.standard)

    @property
    def exact_error(self) -> Array:
        """Relative error of the exact derivative."""
        return relative_error(self.exact_gradient, self.standard_gradient)

    @property
    def approximate_error(self) -> Array:
        """Relative error of the approximate derivative."""
        return relative_error(self.approximate_gradient, self.standard_gradient)


@dataclass(frozen=True)
class Reading:
    """What can be read off one curve of relative errors: the extremes, where they first lie, and the mean."""

    function: str
    curve: str
    least: float
    least_at: tuple[float, ...]
    greatest: float
    greatest_at: tuple[float, ...]
    mean: float


def relative_error(affine: Array, standard: Array) -> Array:
    """``(affine - standard) / abs(standard)``, NaN where the standard value is zero."""
    error = np.full_like(standard, np.nan)
    np.divide(affine - standard, np.abs(standard), out=error, where=standard != 0)
    return error


def points(function: Function) -> Array:
    """The points of a function's interval, ascending, each of them a float32 number."""
    first, last = np.ldexp([function.start, function.stop], function.step_bits)
    inner = np.ldexp(np.arange(np.ceil(first), np.floor(last) + 1), -function.step_bits)
    ends = np.array([function.start, function.stop])
    return np.unique(np.concatenate((inner, ends)).astype(np.float32)).astype(np.float64)


def sample(function: Function) -> Curves:
    """Values and derivatives of a function and of its piecewise affine form."""
    x = points(function)
    affine, exact = _affine(function, x, "exact")
    _, approximate = _affine(function, x, "approximate")
    return Curves(x, function.standard(x), affine, DELTA_Y * function.slope(x), exact, approximate)


def _affine(function: Function, x: Array, derivative: Derivative) -> tuple[Array, Array]:
    """Values of the piecewise affine function, and its gradient for ``DELTA_Y``."""
    operand = torch.from_numpy(x.astype(np.float32)).requires_grad_()
    result = function.affine(operand, derivative)
    (gradient,) = torch.autograd.grad(result, operand, torch.full_like(result, DELTA_Y))
    return as_array(result.detach()), as_array(gradient)


def as_array(tensor: Tensor) -> Array:
    """A tensor widened to float64."""
    return np.asarray(tensor.numpy(), dtype=np.float64)


def read(function: str, curve: str, error: Array, *coordinates: Array) -> Reading:
    """Read the extremes and the mean off relative errors; points without an error (NaN) do not count.

    Args:
        function, curve: what the errors are of.
        error: relative errors.
        coordinates: of the points, each of the shape of ``error``.
    """
    least = int(np.flatnonzero(error <= np.nanmin(error) + _SAME)[0])
    greatest = int(np.flatnonzero(error >= np.nanmax(error) - _SAME)[0])
    return Reading(
        function,
        curve,
        float(error.flat[least]),
        tuple(float(c.flat[least]) for c in coordinates),
        float(error.flat[greatest]),
        tuple(float(c.flat[greatest]) for c in coordinates),
        float(np.nanmean(error)),
    )


def readings_of(function: Function, *, derivatives: bool = True) -> list[Reading]:
    """The relative errors of a function and, if asked for, of both its derivatives."""
    curves = sample(function)
    errors = {"value": curves.error}
    if derivatives:
        errors |= {"exact derivative": curves.exact_error, "approximate derivative": curves.approximate_error}
    return [read(function.name, curve, error, curves.x) for curve, error in errors.items()]
