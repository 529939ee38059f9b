"""``mulfree train``: train a demonstration and compare it with ordinary arithmetic."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mulfree.cli.errors import FAILED, reported
from mulfree.train import Summary, TrainingConfig, train_digits
from mulfree.train.config import PolicyName

app = typer.Typer(help="Train a network with and without multiplications and compare.", no_args_is_help=True)
_DEFAULT = TrainingConfig()


@app.callback()
def _group() -> None:
    """Keeps the name of the recipe on the command line while there is one recipe."""


@app.command()
def digits(
    *,
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = _DEFAULT.epochs,
    seed: Annotated[int, typer.Option(help="Seed of weights, batches and dropout.")] = _DEFAULT.seed,
    seeds: Annotated[int, typer.Option(help="Number of runs, with consecutive seeds.")] = _DEFAULT.seeds,
    batch_size: Annotated[int, typer.Option(help="Images of a training step.")] = _DEFAULT.batch_size,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = _DEFAULT.lr,
    device: Annotated[str, typer.Option(help="Where to train.")] = _DEFAULT.device,
    threads: Annotated[int | None, typer.Option(help="Threads; PyTorch's choice if not given.")] = _DEFAULT.threads,
    policy: Annotated[
        PolicyName, typer.Option(help="What is free of multiplications; standard: just train the standard network.")
    ] = _DEFAULT.policy,
    output_dir: Annotated[Path, typer.Option(help="Folder of the results.")] = _DEFAULT.output_dir,
) -> None:
    """Handwritten digits: a small Vision Transformer, ordinary and multiplication-free from the same seed."""
    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[status]}"),
    )
    with reported():
        config = TrainingConfig(
            epochs=epochs,
            seed=seed,
            seeds=seeds,
            batch_size=batch_size,
            lr=lr,
            warmup_epochs=min(_DEFAULT.warmup_epochs, epochs - 1) if epochs > 0 else 0,
            device=device,
            threads=threads,
            policy=policy,
            output_dir=output_dir,
        )
        with Progress(*columns, console=console) as progress:
            summary = train_digits(config, progress)
    show(summary, console)
    if policy == "full" and summary.audit is not None and summary.audit.findings:
        raise typer.Exit(FAILED)


def show(summary: Summary, console: Console) -> None:
    """Print accuracy, time and audit of the networks, and where the files are."""
    several = summary.config.seeds > 1
    runs = f"mean ± standard deviation over {summary.config.seeds} seeds" if several else f"seed {summary.config.seed}"
    table = Table(
        title=f"{summary.config.epochs} epochs; accuracy on the held-out fifth of the digits, {runs}",
        title_justify="left",
    )
    table.add_column("network")
    table.add_column("test accuracy", justify="right")
    table.add_column("ms per step", justify="right")
    table.add_column("time ratio", justify="right")
    table.add_column("training", justify="right")
    for name, result in summary.results.items():
        mean = fmean(result.accuracies) * 100
        relative = 1.0 if name == "standard" else summary.ratio
        table.add_row(
            result.label,
            f"{mean:.2f} ± {result.spread * 100:.2f} %" if several else f"{mean:.2f} %",
            f"{result.milliseconds:.2f}",
            "-" if relative is None else f"{relative:.2f}",
            f"{result.seconds:.1f} s",
        )
    console.print(table)
    if summary.audit is not None:
        console.print("Audit of a multiplication-free training step:", summary.audit, highlight=False, soft_wrap=True)
    console.print("Files:", *(f"  {path}" for path in summary.files), sep="\n", highlight=False, soft_wrap=True)
