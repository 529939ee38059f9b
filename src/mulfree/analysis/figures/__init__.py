"""The paper's Figures 1 to 4, drawn from the operations of this library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from mulfree.analysis.figures import figure1, figure2, figure3, figure4
from mulfree.analysis.figures.curves import Reading
from mulfree.analysis.figures.drawing import FORMATS, save

__all__ = ["FIGURES", "FORMATS", "Reading", "readings", "save_figure"]


class _Module(Protocol):
    """What the module of a figure provides."""

    def draw(self) -> Figure: ...

    def readings(self) -> list[Reading]: ...


FIGURES: dict[int, _Module] = {1: figure1, 2: figure2, 3: figure3, 4: figure4}
"""The figures by their numbers in the paper."""


def save_figure(number: int, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write ``figure<number>.<format>`` into an existing folder.

    Args:
        number: 1 to 4.
        folder: where the files go; those of an earlier call are replaced.
        formats: of "png", "pdf", "svg".

    Returns:
        The files, in the order of ``formats``.

    Raises:
        OSError: a file cannot be written.
    """
    figure = FIGURES[number].draw()
    files = [folder / f"figure{number}.{format}" for format in formats]
    for file in files:
        save(figure, file)
    return files


def readings(number: int) -> list[Reading]:
    """The numbers that can be read off a figure."""
    return FIGURES[number].readings()
