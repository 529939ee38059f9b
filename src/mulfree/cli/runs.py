"""``mulfree runs``: list and compare runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mulfree.cli.errors import reported
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen
from mulfree.recipes.evaluation import draw_runs, find_runs
from mulfree.train import ConfigError


def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look, subfolders included.")] = Path("runs"),
    *,
    curves: Annotated[Path | None, typer.Option(help="PNG to draw their curves in, if they are of one task.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs in a folder with their scores; those that cannot be read as damaged."""
    with reported():
        if not folder.is_dir():
            raise ConfigError(f"no folder {folder}")
        check_output("--curves", curves, ".png")
        found = find_runs(folder)
        if curves is not None:
            draw_runs(folder, curves)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table("run", "arithmetic", "seed", "steps", "score", "ms per step", "status")
    for run in found:
        score = "" if run["value"] is None else f"{run['score']} {run['value']:.4g}"
        pace = "" if run["milliseconds"] is None else f"{run['milliseconds']:.2f}"
        numbers = ("" if run[name] is None else str(run[name]) for name in ("seed", "steps"))
        table.add_row(run["run"], run["arithmetic"], *numbers, score, pace, run["status"])
    console = screen()
    console.print(table)
    for run in found:
        if run["reason"]:
            reason = f"{run['run']} is damaged: {run['reason']}"
            console.print(reason, style="yellow", highlight=False, markup=False, soft_wrap=True)
