"""What the figures share: the layout of Figures 3 and 4, and files with the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mulfree.analysis.figures.curves import Curves, Function, sample
from mulfree.train.figures import empty_figure, tidy

FORMATS = ("png", "pdf", "svg")

STANDARD: dict[str, Any] = {"color": "black", "linestyle": "-", "linewidth": 1.2}
AFFINE: dict[str, Any] = {"color": "#c2271a", "linestyle": "--", "linewidth": 1.2}
EXACT: dict[str, Any] = {"color": "#1f4fd8", "linestyle": ":", "linewidth": 1.4}
APPROXIMATE = AFFINE

_NO_DATE: dict[str, dict[str, Any]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the file's name ends with; equal figures give equal bytes.

    Raises:
        OSError: the file cannot be written.
    """
    format = path.suffix.removeprefix(".")
    with matplotlib.rc_context({"svg.hashsalt": "mulfree"}):
        figure.savefig(path, format=format, dpi=150, metadata=_NO_DATE[format])


def tidy_small(axes: Axes) -> None:
    """Tidy axes with small numbers."""
    tidy(axes)
    axes.tick_params(labelsize=8)


def draw_rows(functions: Sequence[Function]) -> Figure:
    """The layout of Figures 3 and 4: a row for each function, with its values, derivatives and their errors."""
    figure = empty_figure(12, 2.5 * len(functions) + 0.4)
    rows = figure.subplots(len(functions), 4, squeeze=False)
    for row, function in zip(rows, functions, strict=True):
        _draw_row(row, function.label, sample(function))
    for axes in rows[-1]:
        axes.set_xlabel("$x$", fontsize=9)
    samples = {"function, its derivative": STANDARD, "piecewise affine, approximate derivative": AFFINE}
    samples["exact derivative"] = EXACT
    handles = [rows[0][0].plot([], [], label=label, **style)[0] for label, style in samples.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(samples), frameon=False, fontsize=9)
    return figure


def _draw_row(row: Sequence[Axes], label: str, curves: Curves) -> None:
    values, error, gradients, gradient_errors = row
    values.plot(curves.x, curves.standard, **STANDARD)
    values.plot(curves.x, curves.affine, **AFFINE)
    values.set_title(label, fontsize=10)
    error.plot(curves.x, curves.error, **STANDARD)
    error.set_title(f"Relative error for {label}", fontsize=10)
    gradients.plot(curves.x, curves.standard_gradient, **STANDARD)
    gradients.plot(curves.x, curves.exact_gradient, **EXACT)
    gradients.plot(curves.x, curves.approximate_gradient, **APPROXIMATE)
    gradients.set_title(f"Derivatives for {label}", fontsize=10)
    gradient_errors.plot(curves.x, curves.exact_error, **EXACT)
    gradient_errors.plot(curves.x, curves.approximate_error, **APPROXIMATE)
    gradient_errors.set_title(f"Relative gradient error for {label}", fontsize=10)
    for axes in row:
        tidy_small(axes)
