"""Figure 4: exponentials and logarithms, with both derivatives (appendix A).

The intervals are those that give the tick labels of the paper's axes; logarithms start at 1.1, as their relative
error at 1 is undefined.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import mulfree.functional as MF
from mulfree.analysis.figures.curves import Function, Reading, readings_of
from mulfree.analysis.figures.drawing import draw_rows

EXP2 = Function(
    "exp2(x)",
    r"$\mathrm{exp2}(x)$",
    np.exp2,
    lambda x: np.log(2) * np.exp2(x),
    lambda x, derivative: MF.exp2(x, derivative=derivative),
    -3.0,
    5.0,
)
EXP = Function(
    "exp(x)",
    r"$\mathrm{exp}(x)$",
    np.exp,
    np.exp,
    lambda x, derivative: MF.exp(x, derivative=derivative),
    -3.0,
    5.0,
)
LOG2 = Function(
    "log2(x)",
    r"$\mathrm{log2}(x)$",
    np.log2,
    lambda x: 1 / (np.log(2) * x),
    lambda x, derivative: MF.log2(x, derivative=derivative),
    1.1,
    5.0,
)
LN = Function(
    "ln(x)",
    r"$\mathrm{ln}(x)$",
    np.log,
    lambda x: 1 / x,
    lambda x, derivative: MF.log(x, derivative=derivative),
    1.1,
    100.0,
    step_bits=7,
)
FUNCTIONS = (EXP2, EXP, LOG2, LN)


def draw() -> Figure:
    return draw_rows(FUNCTIONS)


def readings() -> list[Reading]:
    """Relative errors of the functions and of their derivatives."""
    return [reading for function in FUNCTIONS for reading in readings_of(function)]
