"""What the figures of this package have in common; imported only where one is drawn."""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def empty_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, grid: Literal["both", "x", "y"] = "both") -> None:
    """Thin grid, no frame above and at the right."""
    axes.grid(axis=grid, alpha=0.3, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
