"""``mulfree evaluate``: final measurements of a run's checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from mulfree.cli.errors import reported
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen
from mulfree.cli.threads import set_threads
from mulfree.recipes.evaluation import evaluate_run
from mulfree.recipes.runs import device_named
from mulfree.train.records import write_json


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of one run.")],
    *,
    checkpoint: Annotated[
        Literal["last", "best"], typer.Option(help="The newest one, or that of the lowest validation loss.")
    ] = "last",
    threads: Annotated[int | None, typer.Option(help="Threads; torch's choice if not given.")] = None,
    device: Annotated[str, typer.Option(help="Where to compute.")] = "cpu",
) -> None:
    """Evaluate a run on its test data, print the scores and store them in evaluation-<checkpoint>.json."""
    console = screen()
    with reported():
        set_threads(threads)
        path = run / f"evaluation-{checkpoint}.json"
        if run.is_dir():
            check_output("RUN", path)
        found = evaluate_run(run, checkpoint, device_named(device))
        write_json(path, {"step": found.step, "scores": found.scores})
    console.print(f"{run}, step {found.step}", highlight=False, markup=False, soft_wrap=True)
    table = Table("measurement", "value")
    for name, value in found.scores.items():
        table.add_row(name, f"{value:.6g}")
    console.print(table)
    console.print(f"Wrote {path}", highlight=False, markup=False, soft_wrap=True)
