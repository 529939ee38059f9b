"""The figure of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mulfree.train.loop import Epoch

# Apart in colour, in lightness, in dash and in marker, so also without colour.
_STYLES = (
    {"color": "#8a8a8a", "linestyle": "--", "marker": "o", "markerfacecolor": "white", "markersize": 5},
    {"color": "#0b4f8a", "linestyle": "-", "marker": "s", "markersize": 3.5},
)


def save_curves(path: Path, runs: Mapping[str, Sequence[Sequence[Epoch]]], title: str) -> None:
    """Draw training loss and held-out accuracy over the epochs as a PNG.

    Args:
        path: file to write.
        runs: label of a network -> the epochs of each of its runs; several are drawn as mean and range.
        title: what was trained, and how.
    """
    figure = Figure(figsize=(9.5, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for (label, epochs), style in zip(runs.items(), _STYLES, strict=False):
        _draw(left, label, [[epoch.loss for epoch in run] for run in epochs], style)
        _draw(right, label, [[epoch.accuracy * 100 for epoch in run] for run in epochs], style)
    left.set_ylabel("training loss (nats)")
    left.set_yscale("log")
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("{x:g}")
    right.set_ylabel("accuracy on held-out images (%)")
    final = min(run[-1].accuracy for epochs in runs.values() for run in epochs) * 100
    right.yaxis.set_major_formatter("{x:g}")
    right.set_ylim(max(0.0, min(80.0, final - 10)), 100.5)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(left=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, loc="upper right")
    right.legend(frameon=False, loc="lower right")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, format="png", dpi=150)


def _draw(axes: Axes, label: str, runs: Sequence[Sequence[float]], style: Mapping[str, object]) -> None:
    points = list(zip(*runs, strict=True))
    epochs = range(1, len(points) + 1)
    if len(runs) > 1:
        axes.fill_between(
            epochs, [min(p) for p in points], [max(p) for p in points], color=style["color"], alpha=0.2, linewidth=0
        )
        label = f"{label} (mean and range of {len(runs)} seeds)"
    axes.plot(epochs, [fmean(p) for p in points], label=label, **style)  # type: ignore[arg-type]
