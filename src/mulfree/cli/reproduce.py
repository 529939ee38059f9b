"""``mulfree reproduce``: train what a table of the paper needs, and show it beside the paper's figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from mulfree.cli.errors import FAILED, reported
from mulfree.cli.progress import TrainingProgress
from mulfree.cli.screen import screen, titled
from mulfree.cli.settings import changes_of, fitting
from mulfree.recipes import Recipe, changed, load
from mulfree.reproduction import Job, Outcome, Table, TableName, jobs, measure, run_all, table2, table3, table5, table6
from mulfree.reproduction.paper import PAPER_TASK
from mulfree.reproduction.report import Measurements, caption, head, rows, save
from mulfree.train import ConfigError
from mulfree.train.arithmetic import Pass


def reproduce(
    table: Annotated[TableName, typer.Argument(help="Which table.")],
    *,
    task: Annotated[
        str, typer.Option(help="Recipe for tables 3 and 6: iwslt14, multi30k, tatoeba, numbers, digits, or a file.")
    ] = PAPER_TASK,
    narrow: Annotated[Pass, typer.Option(help="Table 6: the passes that read narrow mantissas.")] = "both",
    row: Annotated[list[str] | None, typer.Option(help="Only this row, and what it is compared with.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each place, with consecutive seeds.")] = 3,
    seed: Annotated[int, typer.Option(help="The first one.")] = 0,
    epochs: Annotated[int | None, typer.Option(help="Length of every training; its recipe's if not given.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of every training, in steps.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any setting of the recipes.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Runs that train at the same time.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads of each run; all, divided by the processes.")] = None,
    device: Annotated[str, typer.Option(help="Where to train.")] = "cpu",
    output_dir: Annotated[Path, typer.Option(help="Folder of the runs and of the table.")] = Path("runs/reproduction"),
    retry: Annotated[
        bool, typer.Option("--retry", help="Train runs again that diverged, from their checkpoints.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Train nothing; show what is there.")] = False,
) -> None:
    """Set our figure beside the paper's. Runs that are complete are kept, others go on from their checkpoints."""
    console = screen()
    with reported("the same command goes on from there"):
        for name, number in (("seeds", seeds), ("processes", processes), ("threads", threads)):
            if number is not None and number < 1:
                raise ConfigError(f"{name} must be at least 1, got {number}")
        changes = changes_of({"training.epochs": epochs, "training.steps": steps}, set_)

        def fetch(name: str) -> Recipe:
            return fitting(changed(load(name), changes), changes)

        whole = _table(table, fetch, task, narrow)
        if changes:
            note = f"Changed: {', '.join(f'{key} = {value}' for key, value in changes.items())}."
            whole = replace(whole, alike=False, notes=(*whole.notes, note))
        chosen = _only(whole, row) if row else whole
        all_seeds = range(seed, seed + seeds)
        measured = measure(whole, all_seeds, output_dir)
        if show:
            _show(chosen, measured, all_seeds, console)
            return
        outcomes: list[Outcome] = []
        todo = _with_data(jobs(chosen, all_seeds, output_dir, retry), measured, console)
        share = threads or max(1, torch.get_num_threads() // max(1, min(processes, len(todo))))
        try:
            with TrainingProgress(console) as progress:
                outcomes = run_all(todo, processes, share, device, progress)
        finally:  # also what was trained until an interruption
            measured = measure(whole, all_seeds, output_dir)
            _show(chosen, measured, all_seeds, console)
            if output_dir.is_dir():
                files = save(whole, measured, all_seeds, output_dir)
                console.print("Files:", *(f"  {path}" for path in files), sep="\n", highlight=False, soft_wrap=True)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"{outcome.folder}: {outcome.error}", style="yellow", highlight=False, markup=False)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(FAILED)


def _table(name: TableName, fetch: Any, task: str, narrow: Pass) -> Table:
    if name == "table3":
        return table3(fetch, task)
    if name == "table6":
        return table6(fetch, task, narrow)
    return table2(fetch) if name == "table2" else table5(fetch)


def _only(table: Table, wanted: list[str]) -> Table:
    if unknown := [name for name in wanted if name not in table.rows]:
        raise ConfigError(f"no row {unknown[0]!r} in {table.name}; there are {', '.join(table.rows)}")
    return table.only(wanted)


def _with_data(todo: list[Job], measured: Measurements, console: Console) -> list[Job]:
    """The runs whose data are here, with a word about the others.

    Raises:
        ConfigError: there are none for any run, and nothing has been measured yet.
    """
    recipes = {job.recipe.name: job.recipe for job in todo}
    missing: dict[str, ConfigError] = {}
    for recipe in recipes.values():
        try:
            recipe.make_task()
        except ConfigError as error:
            missing[recipe.name] = error
            if len(missing) == len(recipes) and not any(m.scores for m in measured.values()):
                raise
    for name, reason in missing.items():
        console.print(f"Left out {name}: {reason}", style="yellow", highlight=False, markup=False)
    return [job for job in todo if job.recipe.name not in missing]


def _show(table: Table, measured: Measurements, seeds: range, console: Console) -> None:
    shown = titled(table.title, *head(table))
    for words in rows(table, measured):
        shown.add_row(*words)
    console.print(shown)
    console.print(*caption(table, measured, seeds), sep="\n", highlight=False)
