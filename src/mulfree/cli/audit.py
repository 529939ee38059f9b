"""``mulfree audit``: look for multiplications in a script, or in the native kernels' machine instructions."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import mulfree
from mulfree.audit.instructions import TargetReport, inspect_library, kernel_library
from mulfree.cli.errors import BAD_OPTION, FAILED, reported


def audit(
    script: Annotated[
        list[str] | None, typer.Argument(metavar="[SCRIPT [ARGUMENTS]...]", help="Python script to run and audit.")
    ] = None,
    kernels: Annotated[bool, typer.Option("--kernels", help="Disassemble the native kernels.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the script's findings as JSON.")] = False,
) -> None:
    """Find multiplications; exit code 1 if there are any."""
    console = Console()
    if kernels == bool(script):
        console.print("Give either a script or --kernels.", highlight=False)
        raise typer.Exit(BAD_OPTION)
    clean = _kernels(console) if script is None else _script(script, as_json=json)
    raise typer.Exit(0 if clean else FAILED)


def _kernels(console: Console) -> bool:
    library = kernel_library()
    if library is None:
        console.print("The native kernels are not built; the reference backend runs, which has none.")
        raise typer.Exit(FAILED)
    with reported():
        reports = inspect_library(library)
    console.print(f"{library}", highlight=False, soft_wrap=True)
    if not reports:
        console.print("No kernel symbols found: the library was stripped of its symbol table.")
        return False
    console.print(_table(reports))
    for report in reports:
        for violation in report.violations:
            console.print(
                f"{report.target}: {violation.kind}: {violation.text} in {violation.symbol}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    return not any(report.violations for report in reports)


def _table(reports: tuple[TargetReport, ...]) -> Table:
    table = Table("", *(report.target for report in reports), title="Instructions of the kernels", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("symbols", *(f"{report.symbols:,}" for report in reports))
    table.add_row("instructions", *(f"{report.instructions:,}" for report in reports), end_section=True)
    kinds = sorted({kind for report in reports for kind in report.classes} - {"other"})
    for kind in [*kinds, "other"]:
        table.add_row(kind, *(f"{report.classes.get(kind, 0):,}" for report in reports))
    table.add_section()
    table.add_row("forbidden", *(f"{len(report.violations):,}" for report in reports))
    return table


def _script(command: list[str], as_json: bool) -> bool:
    """Run a script as ``python script.py arguments`` would, under the audit."""
    path = Path(command[0])
    if not path.is_file():
        Console(stderr=True).print(f"Error: no script {path}", highlight=False)
        raise typer.Exit(BAD_OPTION)
    arguments, failure = sys.argv, 0
    sys.argv = command
    sys.path.insert(0, str(path.parent))
    try:
        with mulfree.audit() as found:
            runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        failure = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv = arguments
        sys.path.remove(str(path.parent))
    print(found.to_json() if as_json else found)
    if failure:
        raise typer.Exit(failure)
    return not found.findings
