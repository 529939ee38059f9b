"""Size and energy against mantissa width, of PAM and of the IEEE multiplier."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mulfree.hardware.switching import Generic, Library
from mulfree.hardware.synthesis.flows import GAUSSIAN
from mulfree.hardware.synthesis.points import GLITCHING, QUIET, Results, minimum, value
from mulfree.hardware.synthesis.report import label
from mulfree.train.figures import empty_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final = {"pam": "#0b4f8a", "ieee_multiplier": "#d98c3f"}
_SHOWN: Final = (2, 4, 7, 10, 16, 23)
"""Widths whose share is written down."""


def widths(results: Results) -> dict[int, str]:
    """Mantissa width -> format with float32's exponent, of those measured."""
    names = {"float32": 23, "bfloat16": 7}
    found = {}
    for format in dict.fromkeys(point.format for point in results.points):
        if format in names:
            found[names[format]] = format
        elif swept := re.fullmatch(r"E8M(\d+)", format):
            found.setdefault(int(swept[1]), format)
    return dict(sorted(found.items()))


def save_sweep(path: Path, results: Results) -> None:
    """A PNG with a column for each of gates and libraries: above sizes with PAM's share, below energies."""
    targets = [target for target in results.targets if target == "gates" or "liberty" in target]
    priced = any(QUIET + GAUSSIAN in point.numbers for point in results.points)
    figure = empty_figure(4.4 * len(targets), 4.2 + 3.8 * priced)
    panels = figure.subplots(1 + priced, len(targets), squeeze=False)
    for column, target in zip(panels.T, targets, strict=True):
        _sizes(column[0], results, target)
        column[0].set_title(target.replace("liberty ", ""), fontsize=10)
        if priced:
            _energies(column[1], results, target)
        column[-1].set_xlabel("mantissa bits (8 exponent bits)")
    panels[0, 0].set_ylabel("smallest: transistors, or area in the library's units")
    panels[0, 0].legend(frameon=False, fontsize=9)
    if priced:
        panels[1, 0].set_ylabel(f"energy of an operation without to with glitches:\n{Generic.unit}, or {Library.unit}")
    figure.savefig(path, dpi=130)


def _sizes(axes: Axes, results: Results, target: str) -> None:
    for unit, colour in _COLOURS.items():
        sizes = _least(results, unit, target, "size")
        axes.plot(list(sizes), list(sizes.values()), "o-", color=colour, label=label(unit), markersize=4)
    _shares(axes, results, target, "size")
    _scaled(axes)


def _energies(axes: Axes, results: Results, target: str) -> None:
    for unit, colour in _COLOURS.items():
        quiet, glitching = (_least(results, unit, target, kind + GAUSSIAN) for kind in (QUIET, GLITCHING))
        if quiet:
            axes.fill_between(list(quiet), list(quiet.values()), list(glitching.values()), color=colour, alpha=0.35)
            axes.plot(list(quiet), list(quiet.values()), "o-", color=colour, markersize=4)
    _shares(axes, results, target, QUIET + GAUSSIAN)
    _scaled(axes)


def _least(results: Results, unit: str, target: str, name: str) -> dict[int, float]:
    """Mantissa width -> the least of a number."""
    found = {width: minimum(results.of(unit, format, target), name) for width, format in widths(results).items()}
    return {width: value(point, name) for width, point in found.items() if point is not None}


def _shares(axes: Axes, results: Results, target: str, name: str) -> None:
    """PAM's share of the multiplier, below its points."""
    formats = widths(results)
    for width, number in _least(results, "pam", target, name).items():
        share = results.ratio("pam", formats[width], target, name)
        if share is not None and width in _SHOWN:
            text = f"{100 * share:.0f} %"
            axes.annotate(text, (width, number), (0, -13), textcoords="offset points", ha="center", fontsize=8)


def _scaled(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.margins(0.1, 0.12)
    tidy(axes)
