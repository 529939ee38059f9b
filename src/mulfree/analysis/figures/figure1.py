"""Figure 1: elementary operations and their piecewise affine forms (eqs. 1, 9, 10).

The paper's text names the three: power of two, logarithm, and the product that eq. 1 makes of them. Its axis ranges
are not in the text; those here show several segments of each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from mulfree.analysis.figures import figure3, figure4
from mulfree.analysis.figures.curves import Reading, readings_of, sample
from mulfree.analysis.figures.drawing import AFFINE, STANDARD, tidy_small
from mulfree.train.figures import empty_figure

FUNCTIONS = (
    replace(figure4.EXP2, start=-2.0, stop=3.0),
    replace(figure4.LOG2, start=0.25, stop=5.0),
    replace(figure3.TIMES, start=0.5, stop=5.0),
)


def draw() -> Figure:
    figure = empty_figure(10, 3.4)
    for axes, function in zip(figure.subplots(1, len(FUNCTIONS)), FUNCTIONS, strict=True):
        curves = sample(function)
        same = np.abs(curves.affine - curves.standard) < 1e-9
        axes.plot(curves.x, curves.standard, label="standard", **STANDARD)
        axes.plot(curves.x, curves.affine, label="piecewise affine", **AFFINE)
        axes.plot(curves.x[same], curves.standard[same], "o", color="black", markersize=3.5, label="equal")
        axes.set_title(function.label, fontsize=10)
        axes.set_xlabel("$x$", fontsize=9)
        axes.legend(frameon=False, fontsize=8)
        tidy_small(axes)
    return figure


def readings() -> list[Reading]:
    """Relative errors of the three operations."""
    return [reading for function in FUNCTIONS for reading in readings_of(function, derivatives=False)]
