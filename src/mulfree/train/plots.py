"""The figure of one or several training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import Any

Curve = list[tuple[float, float]]
"""Points (epochs done, value)."""

# Apart in colour, in lightness, in dash and in marker, so also without colour.
_STYLES = (
    {"color": "#8a8a8a", "linestyle": "--", "marker": "o", "markerfacecolor": "white", "markersize": 5},
    {"color": "#0b4f8a", "linestyle": "-", "marker": "s", "markersize": 3.5},
    {"color": "#c2571a", "linestyle": "-.", "marker": "^", "markersize": 4},
    {"color": "#3f7f3f", "linestyle": ":", "marker": "d", "markersize": 4},
    {"color": "#7a3f9d", "linestyle": "-", "marker": "v", "markersize": 4},
    {"color": "#a8860b", "linestyle": "--", "marker": "x", "markersize": 4},
)
_FEWEST_MARKED = 60
"""With more points than this there are no markers."""


def curves(records: Sequence[Mapping[str, Any]], name: str) -> Curve:
    """The values of ``name`` in the epoch records of a run."""
    return [(r["epoch"], r[name]) for r in records if r["kind"] == "epoch" and name in r]


def save_curves(path: Path, runs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], title: str) -> None:
    """Draw what runs recorded after their epochs as a PNG: training loss, validation loss, and other measurements.

    Args:
        path: file to write.
        runs: label of an arithmetic -> the records of each of its runs; several are drawn as mean and range.
        title: what was trained, and how.
    """
    from mulfree.train.figures import empty_figure, tidy

    first = next((r for groups in runs.values() for records in groups for r in records if r["kind"] == "epoch"), {})
    fixed = {"kind", "step", "epoch", "seconds", "lr"}
    names = [name for name, value in first.items() if name not in fixed and isinstance(value, int | float)]
    figure = empty_figure(4.6 * max(len(names), 1), 4)
    for axes, name in zip(figure.subplots(1, max(len(names), 1), squeeze=False)[0], names, strict=False):
        for (label, groups), style in zip(runs.items(), cycle(_STYLES), strict=False):
            _draw(axes, label, [curves(records, name) for records in groups], style)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name.replace("_", " "))
        axes.set_xlim(left=0)
        if name.endswith("loss"):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("{x:g}")
        tidy(axes)
        axes.legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, format="png", dpi=150)


def _draw(axes: Any, label: str, runs: Sequence[Curve], style: Mapping[str, Any]) -> None:
    runs = [run for run in runs if run]
    if not runs:
        return
    length = min(map(len, runs))
    epochs = [x for x, _ in runs[0][:length]]
    points = [[run[i][1] for run in runs] for i in range(length)]
    if len(runs) > 1:
        low, high = [min(p) for p in points], [max(p) for p in points]
        axes.fill_between(epochs, low, high, color=style["color"], alpha=0.2, linewidth=0)
        label = f"{label} (mean and range of {len(runs)} seeds)"
    shown = style if length <= _FEWEST_MARKED else {**style, "marker": ""}
    axes.plot(epochs, [fmean(p) for p in points], label=label, **shown)
