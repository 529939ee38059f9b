"""``mulfree runs``: list and compare runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mulfree.cli.errors import reported
from mulfree.cli.screen import screen
from mulfree.recipes.evaluation import draw_runs, find_runs
from mulfree.train import ConfigError


def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look, subfolders included.")] = Path("runs"),
    *,
    curves: Annotated[Path | None, typer.Option(help="PNG to draw their curves in, if they are of one task.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs in a folder with their scores."""
    with reported():
        if not folder.is_dir():
            raise ConfigError(f"no folder {folder}")
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
        table.add_row(run["run"], run["arithmetic"], str(run["seed"]), str(run["steps"]), score, pace, run["status"])
    screen().print(table)
