"""Size against mantissa width, of PAM and of the IEEE multiplier."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mulfree.hardware.synthesis.points import Results, minimum
from mulfree.hardware.synthesis.report import label
from mulfree.train.figures import empty_figure, tidy

_COLOURS: Final = {"pam": "#0b4f8a", "ieee_multiplier": "#d98c3f"}


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
    """A PNG with one panel for each of gates and libraries; above the curves of PAM its share."""
    targets = [target for target in results.targets if target == "gates" or "liberty" in target]
    figure = empty_figure(4.4 * len(targets), 4.2)
    panels = figure.subplots(1, len(targets), squeeze=False)[0]
    formats = widths(results)
    for axes, target in zip(panels, targets, strict=True):
        for unit, colour in _COLOURS.items():
            small = {width: minimum(results.of(unit, format, target), "size") for width, format in formats.items()}
            sizes = {width: point.size for width, point in small.items() if point is not None}
            axes.plot(list(sizes), list(sizes.values()), "o-", color=colour, label=label(unit), markersize=4)
            for width, size in sizes.items() if unit == "pam" else ():
                share = results.ratio("pam", formats[width], target, "size")
                if share is not None and width in {2, 4, 7, 10, 16, 23}:
                    text = f"{100 * share:.0f} %"
                    axes.annotate(text, (width, size), (0, -13), textcoords="offset points", ha="center", fontsize=8)
        axes.set_yscale("log")
        axes.margins(0.1, 0.12)
        axes.set_title(target.replace("liberty ", ""), fontsize=10)
        axes.set_xlabel("mantissa bits (8 exponent bits)")
        tidy(axes)
    panels[0].set_ylabel("smallest: transistors, or area in the library's units")
    panels[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
