"""Figure 2: piecewise affine and standard product on [1, 2] x [1, 2], and the relative error (section 2.7).

The pattern repeats in every octave, so these errors are all there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import mulfree.functional as MF
from mulfree.analysis.figures.curves import Array, Reading, as_array, read, relative_error
from mulfree.train.figures import empty_figure

INTERVALS = 256
"""Of each factor; a power of two, so every mantissa on the grid is exact."""


@dataclass(frozen=True)
class Products:
    """Both products of all pairs of factors, and the relative error; each ``(INTERVALS + 1, INTERVALS + 1)``."""

    x1: Array
    x2: Array
    affine: Array
    standard: Array
    error: Array


def products() -> Products:
    factors = np.linspace(1.0, 2.0, INTERVALS + 1)
    x1, x2 = np.meshgrid(factors, factors)
    affine = as_array(MF.mul(torch.from_numpy(x1).float(), torch.from_numpy(x2).float()))
    standard = x1 * x2
    return Products(x1, x2, affine, standard, relative_error(affine, standard))


def draw() -> Figure:
    data = products()
    figure = empty_figure(10, 3.6)
    left, middle, right = figure.subplots(1, 3)
    levels, diagonal = np.arange(1.2, 3.9, 0.2), np.arange(INTERVALS + 1)
    _contours(left, data, data.affine, levels, "%.1f", (diagonal, diagonal))
    left.set_title("Piecewise affine multiplication", fontsize=10)
    _contours(middle, data, data.standard, levels, "%.1f", (diagonal, diagonal))
    middle.set_title("Standard multiplication", fontsize=10)
    percent = 100 * data.error
    column = round(0.4 * INTERVALS)
    above = np.arange(np.argmin(percent[:, column]), INTERVALS + 1)
    _contours(right, data, percent, np.arange(-10.0, 0.0, 2.0), "%.0f", (above, np.full_like(above, column)))
    right.set_title("Relative error in %", fontsize=10)
    _mark(right, data, percent, int(np.argmin(percent)), (-22, -22))
    _mark(right, data, percent, int(np.argmax(percent)), (12, 7))
    return figure


def _contours(
    axes: Axes,
    data: Products,
    values: Array,
    levels: Array,
    label: str,
    path: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> None:
    """Contours whose labels lie where they cross ``path``, indices of points along which the values ascend."""
    reach = levels[-1] - levels[0]
    lines = axes.contour(
        data.x1, data.x2, values, levels=levels, linewidths=1.1, linestyles="solid",
        cmap="viridis", vmin=levels[0], vmax=levels[-1] + 0.25 * reach,
    )  # fmt: skip
    crossings = [np.interp(levels, values[path], factor[path]) for factor in (data.x1, data.x2)]
    axes.clabel(lines, fmt=label, fontsize=8, manual=list(zip(*crossings, strict=True)))
    axes.set(xticks=(1, 2), yticks=(1, 2), xlabel="$x_1$", ylabel="$x_2$", aspect="equal")


def _mark(axes: Axes, data: Products, values: Array, index: int, offset: tuple[int, int]) -> None:
    """A dot at a point of the grid, and its value at ``offset`` typographic points from it."""
    at = float(data.x1.flat[index]), float(data.x2.flat[index])
    axes.plot(*at, "o", color="black", markersize=3.5, clip_on=False)
    axes.annotate(
        f"{values.flat[index]:.1f}",
        at,
        offset,
        textcoords="offset points",
        fontsize=8,
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        arrowprops={"arrowstyle": "-", "linewidth": 0.6},
    )


def readings() -> list[Reading]:
    """Relative errors of the product. Factors of 2, where it is exact as at 1, do not count: one octave of both."""
    data = products()
    octave = slice(None, -1), slice(None, -1)
    return [read("x1 * x2", "value", data.error[octave], data.x1[octave], data.x2[octave])]
