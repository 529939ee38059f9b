"""The figure of section 2.7: the relative error of PAM against the compensation α, and where it is best."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mulfree.analysis.compensation import DENSITIES, Density, best_compensation, errors
from mulfree.train.figures import empty_figure, tidy

POINTS = 121
RANGE = (0.98, 1.14)
COLOURS = {"worst": "#b3402a", "rms": "#0b4f8a", "mean": "#2f7d4f", "bias": "#8a8a8a"}


def save_compensation(path: Path, constant: float | None = None) -> None:
    """Draw mean, root mean square and worst relative error against α as a PNG, one panel for each density.

    Raises:
        ValueError: ``constant`` is not positive, finite and normal in float32.
        OSError: the file cannot be written.
    """
    figure = empty_figure(10, 5)
    panels = figure.subplots(1, len(DENSITIES), sharey=True)
    for axes, density in zip(panels, DENSITIES, strict=True):
        _curves(axes, density, constant)
        _optima(axes, density, constant)
        axes.set_title(f"{density} mantissas", fontsize=10)
        axes.set_xlabel("compensation α")
        tidy(axes)
    panels[0].set_ylabel("relative error in %")
    panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    factors = "two varying factors" if constant is None else f"a varying factor and {constant:.6g}"
    figure.suptitle(f"PAM of {factors}, compensated by α", fontsize=11)
    figure.savefig(path, format="png", dpi=150)


def _curves(axes: Axes, density: Density, constant: float | None) -> None:
    alphas = np.linspace(*RANGE, POINTS)
    found = [errors(float(alpha), density, constant) for alpha in alphas]
    axes.axhline(0, color="black", linewidth=0.6)
    axes.fill_between(
        alphas,
        [100 * e.least for e in found],
        [100 * e.greatest for e in found],
        color=COLOURS["worst"],
        alpha=0.1,
        linewidth=0,
        label="all errors",
    )
    axes.plot(alphas, [100 * e.worst for e in found], color=COLOURS["worst"], label="worst, absolute")
    axes.plot(alphas, [100 * e.rms for e in found], color=COLOURS["rms"], label="root mean square")
    axes.plot(alphas, [100 * e.mean for e in found], color=COLOURS["mean"], label="mean")
    bias = [100 * e.product_mean for e in found]
    axes.plot(alphas, bias, color=COLOURS["bias"], label="of the mean product", linestyle="--", linewidth=1)


def _optima(axes: Axes, density: Density, constant: float | None) -> None:
    """A mark on each curve where its criterion is met, and the α there."""
    worst, square, mean, product = (
        best_compensation(criterion, density, constant)
        for criterion in ("worst case", "mean square", "mean", "product mean")
    )
    marks = [
        (worst.alpha, worst.after.worst, "worst", (0, 12)),
        (square.alpha, square.after.rms, "rms", (0, 12)),
        (mean.alpha, mean.after.mean, "mean", (26, -16)),
        (product.alpha, product.after.product_mean, "bias", (-26, 8)),
    ]
    for alpha, error, name, offset in marks:
        axes.plot(alpha, 100 * error, "o", color=COLOURS[name], markersize=5)
        axes.annotate(
            f"{alpha:.4f}",
            (alpha, 100 * error),
            xytext=offset,
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=COLOURS[name],
        )
