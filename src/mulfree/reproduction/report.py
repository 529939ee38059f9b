"""A table as far as it is trained: for the screen, as Markdown, as JSON and as a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mulfree.reproduction.results import Measured, format_measured, format_reported
from mulfree.reproduction.table import Cell, Table
from mulfree.train.errors import writing
from mulfree.train.records import write_text

Measurements = Mapping[tuple[str, str], Measured]


def head(table: Table) -> list[str]:
    return ["", *(name for column in table.columns for name in (column, "paper"))]


def rows(table: Table, measured: Measurements) -> list[list[str]]:
    """One row of words a row of the table: our figure and the paper's by turns."""
    found = []
    for row in table.rows:
        words = [row]
        for column in table.columns:
            cell = table.cell(row, column)
            words += ["", ""] if cell is None else _both(cell, measured[row, column])
        found.append(words)
    return found


def _both(cell: Cell, measured: Measured) -> list[str]:
    paper = "" if cell.paper is None else format_reported(cell.paper, cell.paper_baseline)
    return [format_measured(measured, cell.is_baseline), paper]


def caption(table: Table, measured: Measurements, seeds: Sequence[int]) -> list[str]:
    """What the figures are, a sentence a line."""
    own = [measured[cell.row, cell.column] for cell in table.cells]
    scores = sorted({m.score for m in own if m.score})
    runs = {(cell.recipe.name, cell.arithmetic.label): measured[cell.row, cell.column] for cell in table.cells}
    done, wanted = sum(len(m.scores) for m in runs.values()), sum(m.wanted for m in runs.values())
    count = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± sample standard deviation over {len(seeds)} seeds"
    lines = [f"Score: {', '.join(scores) or 'none yet'}; {count}; in brackets the difference from the baseline."]
    if done < wanted:
        lines.append(f"{done} of {wanted} runs are complete; a dash stands where there is none.")
    if any(m.diverged for m in own):
        lines.append("Runs that diverged ended by a loss that was not finite; --retry trains them again.")
    if not table.alike:
        lines.append("Other data or settings than the paper's: only differences compare, and only in kind.")
    return lines + list(table.notes)


def save(table: Table, measured: Measurements, seeds: Sequence[int], folder: Path) -> list[Path]:
    """Write ``<name>.md``, ``.json`` and ``.png``; returns their paths.

    Raises:
        OutputError: they cannot be written.
    """
    markdown, data, figure = (folder / f"{table.name}{suffix}" for suffix in (".md", ".json", ".png"))
    write_text(markdown, _markdown(table, measured, seeds))
    write_text(data, json.dumps(_data(table, measured, seeds), indent=2) + "\n")
    files = [markdown, data]
    if any(m.difference is not None and m.scores for m in measured.values()):
        with writing(figure):
            draw(table, measured, figure)
        files.append(figure)
    return files


def _markdown(table: Table, measured: Measurements, seeds: Sequence[int]) -> str:
    lines = ["| " + " | ".join(head(table)) + " |", "|---" + "|---:" * (len(head(table)) - 1) + "|"]
    lines += ["| " + " | ".join(words) + " |" for words in rows(table, measured)]
    return "\n".join([f"**{table.title}**", "", *lines, "", *caption(table, measured, seeds), ""])


def _data(table: Table, measured: Measurements, seeds: Sequence[int]) -> dict[str, Any]:
    def entry(cell: Cell) -> dict[str, Any]:
        ours, paper = measured[cell.row, cell.column], cell.paper
        return {
            "row": cell.row,
            "column": cell.column,
            "recipe": cell.recipe.name,
            "arithmetic": cell.arithmetic.label,
            "score": ours.score,
            "scores": list(ours.scores),
            "mean": ours.mean,
            "standard_deviation": ours.spread,
            "difference": ours.difference,
            "diverged": ours.diverged,
            "milliseconds": ours.milliseconds,
            "paper": None if paper is None else {"mean": paper.mean, "standard_deviation": paper.spread},
        }

    return {"table": table.name, "title": table.title, "seeds": list(seeds), "cells": [entry(c) for c in table.cells]}


_OURS, _PAPER = "#0b4f8a", "#c2571a"
_LINEAR = 2.0
"""Differences up to which the axis is linear; beyond it is logarithmic."""


def draw(table: Table, measured: Measurements, path: Path) -> None:
    """Differences from the baseline, ours beside the paper's, each with its standard deviation."""
    from matplotlib.ticker import SymmetricalLogLocator

    from mulfree.train.figures import empty_figure, tidy

    shown = [
        cell
        for cell in table.cells
        if not cell.is_baseline and (cell.paper or measured[cell.row, cell.column].difference is not None)
    ]
    labels = ["\n".join([*cell.row.split(), cell.column]) for cell in shown]
    figure = empty_figure(max(6.0, 0.95 * len(shown)), 4.2)
    axes = figure.subplots()
    axes.axhline(0.0, color="#8a8a8a", linewidth=0.8)
    of_shown = [measured[cell.row, cell.column] for cell in shown]
    ours = [(i, m.difference, m.spread) for i, m in enumerate(of_shown)]
    paper = [
        (i, cell.paper.mean - cell.paper_baseline.mean, cell.paper.spread)
        for i, cell in enumerate(shown)
        if cell.paper is not None and cell.paper_baseline is not None
    ]
    if any(abs(change) + (spread or 0.0) > _LINEAR for _, change, spread in ours + paper if change is not None):
        axes.set_yscale("symlog", linthresh=_LINEAR)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=_LINEAR, subs=(1, 2, 5)))
    for points, shift, colour, marker, label in (
        (ours, -0.12, _OURS, "s", "this training"),
        (paper, 0.12, _PAPER, "o", "paper"),
    ):
        known = [(i + shift, change, spread or 0.0) for i, change, spread in points if change is not None]
        if known:
            x, y, error = zip(*known, strict=True)
            axes.errorbar(x, y, yerr=error, fmt=marker, color=colour, label=label, capsize=3, markersize=5)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(range(len(shown)), labels, fontsize=8)
    axes.set_ylabel("difference from the baseline")
    tidy(axes, grid="y")
    axes.legend(frameon=False)
    figure.suptitle(table.title, fontsize=11)
    figure.savefig(path, format="png", dpi=150)
