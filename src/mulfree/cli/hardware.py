"""``mulfree hardware``: the arithmetic units as circuits."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mulfree.cli.errors import reported
from mulfree.cli.outputs import check_output, make_folder
from mulfree.cli.screen import screen, titled
from mulfree.hardware import rtl
from mulfree.hardware.switching import Stream
from mulfree.hardware.synthesis import FORMATS, UNITS, Plan, Results, flows, jobs, measure
from mulfree.hardware.synthesis.flows import liberty_bytes, library_name
from mulfree.hardware.synthesis.measure import SWEEP, Job
from mulfree.hardware.synthesis.placement import MISSING as NO_PLACEMENT
from mulfree.hardware.synthesis.placement import available as can_place
from mulfree.hardware.synthesis.plot import save_sweep
from mulfree.hardware.synthesis.recipes import FAMILIES, Family
from mulfree.hardware.synthesis.report import Sheet, brief, markdown, sheets
from mulfree.train import ConfigError, OutputError
from mulfree.train.errors import writing
from mulfree.train.machine import processor
from mulfree.train.records import read_json, write_json, write_text

hardware = typer.Typer(help="The arithmetic units as circuits.", no_args_is_help=True)
NAME = "hardware-cost"
"""Of the files in ``--output``."""
_THEN = "; then "


@hardware.command("cost")
def cost(
    unit: Annotated[list[str] | None, typer.Option(help="Of mulfree rtl; may be repeated.")] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", help="float32, bfloat16, float16 or like E8M4; may be repeated."),
    ] = None,
    liberty: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A library of cells for area and delay; may be repeated."),
    ] = None,
    fpga: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(FAMILIES)}: look-up tables, multiplier blocks; may be repeated."),
    ] = None,
    place: Annotated[bool, typer.Option(help="Place and route on ECP5 for the clock rate (nextpnr).")] = False,
    sweep: Annotated[bool, typer.Option(help="Also PAM and the multiplier for many widths of the mantissa.")] = False,
    operands: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Of mulfree hardware operands: energies on these, too; may be repeated."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one run of a tool may take.")] = 300.0,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help=f"Write {NAME}.json, .md and with --sweep .png there; it is made. What {NAME}.json has is kept.",
        ),
    ] = None,
) -> None:
    """Synthesize units beside the IEEE multiplier in the same flow, and set sizes and energies beside the paper's."""
    console = screen()
    with reported("the rest was not measured"):
        streams = {flows.GAUSSIAN: Stream.gaussian(), **_streams(operands)}
        plan = _plan(unit, format_, liberty, fpga, place, sweep, streams, timeout)
        results = _measured(console, plan, None if output is None else _data(output))
    for sheet in sheets(results):
        console.print(_table(sheet))
    console.print(_REMARKS, highlight=False)
    for name, reason in results.failures.items():
        console.print(f"Failed: {name}: {brief(reason)}", style="yellow", highlight=False, markup=False)
    with reported():
        for path in _written(results, output, sweep):
            console.print(f"Wrote {path}", highlight=False, markup=False, soft_wrap=True)
    if not results.points:
        raise typer.Exit(1)


def _plan(
    units: list[str] | None, formats: list[str] | None, liberties: list[Path] | None, fpgas: list[str] | None,
    place: bool, sweep: bool, streams: dict[str, Stream], timeout: float,
) -> Plan:  # fmt: skip
    for unit in units or ():
        if unit not in rtl.UNITS or not rtl.UNITS[unit].elementwise:
            known = ", ".join(name for name, kind in rtl.UNITS.items() if kind.elementwise)
            raise ConfigError(f"--unit must be one of {known}, got {unit!r}")
    for format in formats or ():
        try:
            rtl.Format.named(format)
        except ValueError as error:
            raise ConfigError(f"--format: {error}") from error
    if missing := [path for path in liberties or () if not path.is_file()]:
        raise ConfigError(f"--liberty: no file {missing[0]}")
    for path in liberties or ():
        try:
            liberty_bytes(path)
        except (OSError, EOFError) as error:
            raise ConfigError(f"--liberty: cannot read {path}: {error}") from error
    named = {library_name(path): path for path in liberties or ()}
    if len(named) < len(liberties or ()):
        raise ConfigError("--liberty: two files have the same name")
    if place and "ecp5" not in (fpgas or ()):
        raise ConfigError("--place goes with --fpga ecp5")
    if place and not can_place():
        raise ConfigError(f"--place: {NO_PLACEMENT}")
    families = tuple(family for family in get_args(Family) if family in (fpgas or ()))
    if stray := [name for name in fpgas or () if name not in families]:
        raise ConfigError(f"--fpga must be one of {', '.join(FAMILIES)}, got {stray[0]!r}")
    return Plan(
        tuple(units or UNITS),
        tuple(formats or FORMATS),
        families,
        named,
        SWEEP if sweep else (),
        place,
        streams,
        timeout,
    )


def _streams(paths: list[Path] | None) -> dict[str, Stream]:
    found = {}
    for path in paths or ():
        try:
            found[path.stem] = Stream.read(path)
        except (ValueError, OutputError) as error:
            raise ConfigError(f"--operands: {path}: {error}") from error
    if len(found) < len(paths or ()) or flows.GAUSSIAN in found:
        raise ConfigError("--operands: two files have the same name")
    return found


def _data(folder: Path) -> Path:
    """The file of the results; its folder is made."""
    make_folder("--output", folder)
    data = folder / f"{NAME}.json"
    check_output("--output", data)
    return data


def _earlier(data: Path | None) -> Results | None:
    """Of a run that was interrupted, or of another choice of units."""
    if data is None or not data.exists():
        return None
    try:
        return Results.from_data(read_json(data))
    except (ValueError, OutputError) as error:
        raise ConfigError(f"--output: {data}: {error}") from error


def _measured(console: Console, plan: Plan, data: Path | None) -> Results:
    """All of a plan; what is done is kept in the file ``data``, and taken from it."""
    earlier = _earlier(data)
    commands = earlier.about.get("command", "").split(_THEN) if earlier else []
    commands.append(shlex.join(["mulfree", *(Path(word).name for word in sys.argv[1:])]))
    command = _THEN.join(dict.fromkeys(filter(None, commands)))

    def keep(results: Results) -> None:
        if data is not None:
            write_json(data, replace(results, about={"command": command, "state": "unfinished"}).to_data())

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=len(jobs(plan)))

            def hear(job: Job) -> None:
                progress.update(task, description=str(job), completed=done[0])
                done[0] += 1

            done = [0]
            results = measure(plan, hear, earlier, keep)
    except ImportError as error:
        raise ConfigError(str(error)) from error
    except ValueError as error:
        raise ConfigError(f"--unit, --format: {error}") from error
    results.about = {"command": command, "processor": processor()}
    return results


def _table(sheet: Sheet) -> Table:
    table = titled(sheet.title, *sheet.columns, words=2)
    for row in sheet.rows:
        table.add_row(*row)
    return table


_REMARKS = (
    "Gates and libraries: combinational units, the best of several recipes; FPGAs: between registers, one recipe.\n"
    "The paper's figures are estimates (Table 4, Appendix B; bfloat16 as float16). Not measured: wires.\n"
    "Energies: by the changes of nets on given operands, without to with glitches, the best of the recipes.\n"
    "A better generator of multipliers than Yosys' would bring the IEEE units nearer to PAM."
)


def _written(results: Results, folder: Path | None, sweep: bool) -> list[Path]:
    if folder is None:
        return []
    paths = [_data(folder), folder / f"{NAME}.md"]
    write_json(paths[0], results.to_data())
    write_text(paths[1], markdown(results))
    if sweep:
        paths.append(folder / f"{NAME}.png")
        with writing(paths[2]):
            save_sweep(paths[2], results)
    return paths
