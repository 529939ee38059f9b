"""The ``mulfree`` command. One file per command; nothing else imports this package."""

from __future__ import annotations

from typing import Annotated

import typer

import mulfree
from mulfree.cli import (
    affinity,
    audit,
    compensation,
    cost,
    doctor,
    download,
    evaluate,
    figures,
    hardware,
    operands,
    reproduce,
    rtl,
    runs,
    train,
    vectors,
)

app = typer.Typer(
    name="mulfree",
    help="Train neural networks without a single floating-point multiplication.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("train", no_args_is_help=True)(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("runs")(runs.runs)
app.command("reproduce")(reproduce.reproduce)
app.command("audit", context_settings={"allow_interspersed_args": False})(audit.audit)
app.command("download", no_args_is_help=True)(download.download_data)
app.command("figures")(figures.figures)
app.command("compensation")(compensation.compensation)
app.command("cost", no_args_is_help=True)(cost.cost)
hardware.hardware.command("operands")(operands.operands)
app.add_typer(hardware.hardware, name="hardware")
app.command("affinity")(affinity.affinity)
app.command("rtl", no_args_is_help=True)(rtl.rtl)
app.command("vectors")(vectors.vectors)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mulfree {mulfree.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the command. Exit codes: 0 fine, 1 failed or findings, 2 bad options, 130 interrupted."""
    app()
