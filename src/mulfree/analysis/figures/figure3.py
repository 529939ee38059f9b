"""Figure 3: multiplication, division, square and square root, with both derivatives (appendix A).

The intervals are those that give the tick labels of the paper's axes.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import mulfree.functional as MF
from mulfree.analysis.figures.curves import Function, Reading, readings_of
from mulfree.analysis.figures.drawing import draw_rows

TIMES = Function(
    "1.5 x",
    "$1.5x$",
    lambda x: 1.5 * x,
    lambda x: np.full_like(x, 1.5),
    lambda x, derivative: MF.mul(x, 1.5, derivative=derivative),
    -3.0,
    3.0,
)
DIVIDED_BY = Function(
    "1.5 / x",
    "$1.5/x$",
    lambda x: 1.5 / x,
    lambda x: -1.5 / (x * x),
    lambda x, derivative: MF.div(1.5, x, derivative=derivative),
    1 / 3,
    3.0,
)
DIVIDED = Function(
    "x / 1.5",
    "$x/1.5$",
    lambda x: x / 1.5,
    lambda x: np.full_like(x, 1 / 1.5),
    lambda x, derivative: MF.div(x, 1.5, derivative=derivative),
    1 / 3,
    3.0,
)
SQUARE = Function(
    "x^2",
    "$x^2$",
    lambda x: x * x,
    lambda x: 2 * x,
    lambda x, derivative: MF.mul(x, x, derivative=derivative),
    -3.0,
    3.0,
)
SQRT = Function(
    "sqrt(x)",
    r"$\sqrt{x}$",
    np.sqrt,
    lambda x: 0.5 / np.sqrt(x),
    lambda x, derivative: MF.sqrt(x, derivative=derivative),
    0.1,
    10.0,
)
FUNCTIONS = (TIMES, DIVIDED_BY, DIVIDED, SQUARE, SQRT)


def draw() -> Figure:
    return draw_rows(FUNCTIONS)


def readings() -> list[Reading]:
    """Relative errors of the functions and of their derivatives."""
    return [reading for function in FUNCTIONS for reading in readings_of(function)]
