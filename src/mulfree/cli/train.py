"""``mulfree train``: train a recipe, with and without multiplications."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mulfree.cli.errors import FAILED, reported
from mulfree.cli.progress import TrainingProgress
from mulfree.cli.screen import screen, titled
from mulfree.cli.settings import changes_of, check_effect, fitting, pair
from mulfree.cli.threads import set_threads
from mulfree.policy import Base
from mulfree.recipes import Comparison, Options, changed, load, names, train_recipe
from mulfree.train import ConfigError
from mulfree.train.arithmetic import Pass, PolicyName
from mulfree.train.task import is_share

OPTIONS_OF = "Hyper-parameters (each also by --set)"


def train(
    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe, or path of a TOML file.")] = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="List the recipes that come with mulfree.")] = False,
    policy: Annotated[PolicyName | None, typer.Option(help="What is free of multiplications.")] = None,
    derivative: Annotated[
        list[str] | None,
        typer.Option(help="GROUP=exact or =approximate; matmul, softmax, norm, activation, elementwise, loss."),
    ] = None,
    mantissa_bits: Annotated[int | None, typer.Option(help="That matrix products read of their operands.")] = None,
    narrow: Annotated[Pass | None, typer.Option(help="The passes whose products read so few bits.")] = None,
    compensation: Annotated[float | None, typer.Option(help="Factor on every product of matrix products.")] = None,
    base: Annotated[Base | None, typer.Option(help="Of softmax and cross-entropy: e or 2.")] = None,
    compare: Annotated[str | None, typer.Option(help="Also train: standard, matmul, or none.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Length of the training.", rich_help_panel=OPTIONS_OF)] = None,
    steps: Annotated[int | None, typer.Option(help="Length, in steps.", rich_help_panel=OPTIONS_OF)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images of a batch.", rich_help_panel=OPTIONS_OF)] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches of a step.", rich_help_panel=OPTIONS_OF)] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.", rich_help_panel=OPTIONS_OF)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any setting.", rich_help_panel=OPTIONS_OF),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, batches and dropout.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of runs, with consecutive seeds.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="Threads; torch's choice if not given.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read data ahead.")] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Folder of the runs; a new one in runs/ if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the runs in --output-dir.")] = False,
    strict: Annotated[bool, typer.Option(help="Stop when an audit finds a multiplication.")] = False,
    audit_every: Annotated[int | None, typer.Option(help="Steps between audits of a live step.")] = None,
) -> None:
    """Train a recipe; each arithmetic and seed is a run in a folder of its own."""
    console = screen()
    if list_:
        console.print(_listed())
        return
    with reported():
        if recipe is None:
            raise ConfigError("name a recipe, or list them with --list")
        hyper: dict[str, object] = {
            "arithmetic.policy": policy,
            "arithmetic.mantissa_bits": mantissa_bits,
            "arithmetic.narrow": narrow,
            "arithmetic.compensation": compensation,
            "arithmetic.base": base,
            "training.compare": compare,
            "training.epochs": epochs,
            "training.steps": steps,
            "training.accumulate": accumulate,
            "training.seed": seed,
            "training.workers": workers,
            "training.audit_every": audit_every,
            "task.batch_size": batch_size,
            "optimizer.lr": lr,
        }
        hyper |= {f"arithmetic.derivative.{key}": value for key, value in map(pair, derivative or [])}
        changes = changes_of(hyper, set_)
        chosen = fitting(changed(load(recipe), changes), changes)
        check_effect(chosen.arithmetic)
        set_threads(threads)
        if resume and output_dir is None:
            raise ConfigError("--resume needs --output-dir, the folder of the runs that shall go on")
        folder = output_dir or _new_folder(Path("runs"), chosen.name)
        options = Options(folder=folder, seeds=seeds, device=device, resume=resume, strict=strict)
        with TrainingProgress(console) as progress:
            comparison = train_recipe(chosen, options, progress)
    if comparison.files:
        show(comparison, console)
    if any(result.multiplications for results in comparison.results.values() for result in results):
        raise typer.Exit(FAILED)


def _listed() -> Table:
    table = Table("recipe", "what", "source")
    for name in names():
        recipe = load(name)
        table.add_row(name, recipe.description, recipe.source)
    return table


def _new_folder(parent: Path, name: str) -> Path:
    """The first of name, name-2, name-3, ... that does not exist."""
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def show(comparison: Comparison, console: Console) -> None:
    """Print scores, time and audit by arithmetic, and where the files are."""
    results = comparison.results
    first = next(iter(results.values()))
    count, score = len(first), first[0].score
    runs = f"mean ± standard deviation over {count} seeds" if count > 1 else f"seed {first[0].seed}"
    table = titled(
        f"{comparison.recipe.name}: {first[0].epochs:g} epochs, {runs}",
        "arithmetic", score, "ms per step", "time ratio", "training", "multiplications in a step",
    )  # fmt: skip
    for label, group in results.items():
        mean, spread = comparison.score(label)
        ratio = comparison.ratio(label)
        found = [result.multiplications for result in group if result.multiplications is not None]
        table.add_row(
            label,
            _score(score, mean, spread if count > 1 else None),
            f"{comparison.milliseconds(label):.2f}",
            "-" if ratio is None else f"{ratio:.2f}",
            f"{sum(result.seconds for result in group) / count:.1f} s",
            f"{max(found):,}" if found else "not audited",
        )
    console.print(table)
    console.print("Files:", *(f"  {path}" for path in comparison.files), sep="\n", highlight=False, soft_wrap=True)


def _score(name: str, mean: float, spread: float | None) -> str:
    """Shares as per cent, others as they are."""
    scale, unit = (100.0, " %") if is_share(name) else (1.0, "")
    around = "" if spread is None else f" ± {spread * scale:.2f}"
    return f"{mean * scale:.2f}{around}{unit}"
