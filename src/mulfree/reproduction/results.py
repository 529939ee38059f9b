"""What has been trained of a table so far, and its statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from mulfree.recipes.runs import run_folder, stored_result
from mulfree.reproduction.table import Cell, Reported, Table
from mulfree.train.run import Result, diverged
from mulfree.train.task import is_share


@dataclass(frozen=True)
class Measured:
    """The runs of a cell.

    Attributes:
        scores: of the runs that are complete, in the paper's unit.
        baseline: mean of those of its baseline; None without.
        wanted: number of runs that were asked for.
        score: name of the measurement; empty without a run.
        milliseconds: mean over the runs of their median step; None where it is not known.
        diverged: number of runs that ended by a loss that was not finite.
    """

    scores: tuple[float, ...]
    baseline: float | None
    wanted: int
    score: str = ""
    milliseconds: float | None = None
    diverged: int = 0

    @property
    def mean(self) -> float | None:
        return fmean(self.scores) if self.scores else None

    @property
    def spread(self) -> float | None:
        """Sample standard deviation; None for less than two runs."""
        return stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def difference(self) -> float | None:
        """From the baseline."""
        return None if self.mean is None or self.baseline is None else self.mean - self.baseline


def folder_of(cell: Cell, seed: int, output: Path) -> Path:
    """Where a run is: tables with the same recipe share their runs."""
    return run_folder(output / cell.recipe.name, cell.arithmetic.label, seed)


def measure(table: Table, seeds: Sequence[int], output: Path) -> dict[tuple[str, str], Measured]:
    """By row and column of the table. Raises as ``stored_result``."""
    results = {
        (cell.row, cell.column): [stored_result(cell.run(seed), folder_of(cell, seed, output)) for seed in seeds]
        for cell in table.cells
    }
    scores = {place: tuple(_score(r) for r in found if r is not None) for place, found in results.items()}
    measured = {}
    for cell in table.cells:
        place = (cell.row, cell.column)
        baseline = table.baseline(cell.recipe)
        compared = scores[baseline.row, baseline.column] if baseline else ()
        done = [result for result in results[place] if result is not None]
        ended = [
            diverged(folder_of(cell, seed, output))
            for seed, result in zip(seeds, results[place], strict=True)
            if result is None
        ]
        measured[place] = Measured(
            scores[place],
            fmean(compared) if compared else None,
            len(seeds),
            done[0].score if done else "",
            fmean(result.milliseconds for result in done) if done else None,
            sum(ended),
        )
    return measured


def _score(result: Result) -> float:
    value = result.scores[result.score]
    return 100.0 * value if is_share(result.score) else value


def format_reported(figure: Reported, baseline: Reported | None) -> str:
    """A figure of the paper as the paper writes it: ``34.2 [-0.2] ± 0.1``."""
    around = "" if figure.spread is None else f" ± {figure.spread:.1f}"
    change = "" if baseline is None or figure is baseline else f" [{figure.mean - baseline.mean:+.1f}]"
    return f"{figure.mean:.1f}{change}{around}"


def format_measured(measured: Measured, is_baseline: bool) -> str:
    """Our figure in the same form, with the number of runs where some are missing; "diverged" or a dash without any."""
    lost = "diverged" if measured.diverged == measured.wanted else f"{measured.diverged} diverged"
    if measured.mean is None:
        return lost if measured.diverged else "-"
    around = "" if measured.spread is None else f" ± {measured.spread:.1f}"
    change = "" if is_baseline or measured.difference is None else f" [{measured.difference:+.1f}]"
    count = len(measured.scores)
    part = f"{count} of {measured.wanted} runs{f', {lost}' if measured.diverged else ''}"
    return f"{measured.mean:.1f}{change}{around}" + ("" if count == measured.wanted else f" ({part})")
