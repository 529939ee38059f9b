"""``mulfree figures``: the paper's Figures 1 to 4, and the numbers that can be read off them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from mulfree.analysis.figures import FIGURES, FORMATS, readings, save_figure
from mulfree.cli.errors import reported
from mulfree.cli.outputs import make_folder
from mulfree.cli.screen import screen, titled
from mulfree.train import ConfigError, OutputError

_Choice = TypeVar("_Choice", int, str)


def figures(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[1|2|3|4]...", help="Which figures.", show_default="all")
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder for the files; it is made.")] = Path("figures"),
    format: Annotated[
        list[str] | None, typer.Option(help="png, pdf or svg; may be repeated.", show_default="all three")
    ] = None,
) -> None:
    """Draw the paper's figures: piecewise affine functions, their derivatives, and the errors of both."""
    console = screen()
    with reported():
        chosen = _chosen("figure", numbers, tuple(FIGURES))
        formats = _chosen("format", format, FORMATS)
        make_folder("--output-dir", output_dir)
        console.print(_table(chosen))
        for number in chosen:
            for file in _save(number, output_dir, formats):
                console.print(f"Wrote {file}", highlight=False, markup=False, soft_wrap=True)


def _chosen(kind: str, given: Sequence[_Choice] | None, possible: Sequence[_Choice]) -> tuple[_Choice, ...]:
    """What was asked for, each once; all if nothing was."""
    for choice in given or ():
        if choice not in possible:
            raise ConfigError(f"no {kind} {choice}: must be one of {', '.join(map(str, possible))}")
    return tuple(dict.fromkeys(given or possible))


def _save(number: int, folder: Path, formats: Sequence[str]) -> list[Path]:
    try:
        return save_figure(number, folder, formats)
    except OSError as error:
        raise OutputError(f"cannot write figure {number} into {folder}: {error.strerror}") from error


def _table(chosen: Sequence[int]) -> Table:
    """Relative errors of every curve in the figures; "at" is the first point where the extreme is reached."""
    table = titled(
        "Relative errors of the piecewise affine functions and derivatives",
        "figure", "function", "curve", "least error", "at", "greatest error", "at", "mean error", words=3,
    )  # fmt: skip
    for number in chosen:
        for reading in readings(number):
            table.add_row(
                str(number),
                reading.function,
                reading.curve,
                f"{100 * reading.least:.3f} %",
                _place(reading.least_at),
                f"{100 * reading.greatest:.3f} %",
                _place(reading.greatest_at),
                f"{100 * reading.mean:.3f} %",
            )
        table.add_section()
    return table


def _place(coordinates: Sequence[float]) -> str:
    return ", ".join(f"{c:.4g}" for c in coordinates)
