"""The figure of a step's energy: by kind of operation, for both arithmetics in each format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mulfree.hardware.estimate import Energy
from mulfree.hardware.units import joules, scale_of
from mulfree.train.figures import empty_figure, tidy

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "products": ("multiplications, or PAM", "#0b4f8a"),
    "other": ("PAD, exp2, log2", "#5b9bd5"),
    "additions": ("float32 additions", "#b8b8b8"),
    "memory": ("memory", "#d98c3f"),
}
"""Fields of ``Energy``: label and colour."""


def save_energies(path: Path, energies: Mapping[str, Mapping[str, Energy]], title: str) -> None:
    """Draw stacked bars as a PNG.

    Args:
        path: of the file.
        energies: format -> arithmetic -> energy; a bar for each arithmetic, the first of a format is the one that the
            others are compared with.
        title: above the bars.
    """
    figure = empty_figure(2.4 + 2.4 * len(energies), 4.8)
    axes = figure.subplots()
    bars = [(group, name, energy) for group, row in energies.items() for name, energy in row.items()]
    places = [index + 0.6 * list(energies).index(group) for index, (group, _, _) in enumerate(bars)]
    unit, scale = scale_of(max(energy.total for _, _, energy in bars))
    base = [0.0] * len(bars)
    for kind, (label, colour) in KINDS.items():
        heights = [getattr(energy, kind) / scale for _, _, energy in bars]
        if any(heights):
            axes.bar(places, heights, 0.8, bottom=base, color=colour, label=label)
            base = [low + height for low, height in zip(base, heights, strict=True)]
    for place, top, (group, _, energy) in zip(places, base, bars, strict=True):
        first = next(iter(energies[group].values()))
        share = "" if energy is first else f"\n{100 * energy.total / first.total:.0f} %"
        axes.annotate(
            joules(energy.total) + share, (place, top), (0, 3), textcoords="offset points", ha="center", fontsize=9
        )
    axes.set_xticks(places, [f"{name}\n{group}" for group, name, _ in bars], fontsize=9)
    axes.set_ylabel(f"energy ({unit})")
    axes.set_ylim(0, 1.35 * max(base))
    axes.set_axisbelow(True)
    tidy(axes, grid="y")
    axes.legend(frameon=False, ncols=2, fontsize=9, loc="upper center")
    axes.set_title(title, fontsize=11)
    figure.savefig(path, format="png", dpi=150)
