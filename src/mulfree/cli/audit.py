"""``mulfree audit``: look for multiplications in a script, or in the native kernels' machine instructions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mulfree.audit.instructions import TargetReport, inspect_library, kernel_library
from mulfree.cli.errors import BAD_OPTION, FAILED, reported
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen, titled
from mulfree.cli.script import run
from mulfree.train import ConfigError, OutputError


def audit(
    script: Annotated[
        list[str] | None, typer.Argument(metavar="[SCRIPT [ARGUMENTS]...]", help="Python script to run and audit.")
    ] = None,
    kernels: Annotated[bool, typer.Option("--kernels", help="Disassemble the native kernels.")] = False,
    cuda: Annotated[
        str | None,
        typer.Option("--cuda", metavar="ARCH", help="Compile the CUDA kernels, for sm_90 say, and disassemble them."),
    ] = None,
    details: Annotated[
        bool,
        typer.Option("--details", help="Also integer arithmetic and work by module; kernels of all targets."),
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Write the script's report as JSON.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the script's report as an HTML page.")] = None,
) -> None:
    """Find multiplications; exit code 1 if there are any, else the script's own."""
    console = screen()
    if [bool(script), kernels, cuda is not None].count(True) != 1:
        _refuse("give either a script or --kernels or --cuda")
    if script is None and (json or html):
        _refuse("--json and --html are for the report of a script")
    if cuda is not None:
        raise typer.Exit(0 if _cuda_kernels(console, cuda, details) else FAILED)
    if script is None:
        raise typer.Exit(0 if _kernels(console, details) else FAILED)
    raise typer.Exit(_script(script, details, json, html))


def _refuse(message: str) -> NoReturn:
    Console(stderr=True).print(f"Error: {message}", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(BAD_OPTION)


def _script(command: list[str], details: bool, json: Path | None, html: Path | None) -> int:
    if not Path(command[0]).is_file():
        _refuse(f"no script {command[0]}")
    with reported():
        check_output("--json", json)
        check_output("--html", html)
    found, code = run(command)
    print(found.to_text(details))
    with reported():
        if json:
            _write(json, found.to_json())
        if html:
            _write(html, found.to_html())
    return code or (FAILED if found.findings else 0)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write the report {file}: {error.strerror}") from error


def _kernels(console: Console, details: bool) -> bool:
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
        if details or report.target == _running_target():
            console.print(_kernel_table(report))
    return _violations(console, reports)


def _cuda_kernels(console: Console, arch: str, details: bool) -> bool:
    from mulfree.audit.sass import inspect_programs
    from mulfree.backends.cuda.programs import groups

    with reported():
        _check_arch(arch)
        programs = [named for found in groups().values() for named in found]
        report = inspect_programs(track(programs, "Compiling", console=console, transient=True), arch)
    console.print(_table((report,)))
    if details:
        console.print(_kernel_table(report))
    return _violations(console, (report,))


def _check_arch(arch: str) -> None:
    """Raises ConfigError if the compiler has no such architecture. Without a compiler it is not known."""
    from mulfree.backends.cuda.compiler import known_architectures

    try:
        known = [f"sm_{number}" for number in known_architectures()]
    except (ImportError, RuntimeError):
        return
    if arch.rstrip("af") not in known:
        raise ConfigError(f"--cuda must be one of {', '.join(known)}, got {arch!r}")


def _violations(console: Console, reports: tuple[TargetReport, ...]) -> bool:
    """Prints them; whether there are none."""
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
    table = titled("Instructions of the kernels", "", *(report.target for report in reports))
    table.add_row("symbols", *(f"{report.symbols:,}" for report in reports))
    table.add_row("instructions", *(f"{report.instructions:,}" for report in reports), end_section=True)
    kinds = sorted({kind for report in reports for kind in report.classes} - {"other"})
    for kind in [*kinds, "other"]:
        table.add_row(kind, *(f"{report.classes.get(kind, 0):,}" for report in reports))
    table.add_section()
    table.add_row("forbidden", *(f"{len(report.violations):,}" for report in reports))
    return table


def _running_target() -> str:
    from mulfree.backends import _cpu

    return _cpu.target()


def _kernel_table(report: TargetReport) -> Table:
    """Instructions of each kernel of one target, those it is made of included."""
    kinds = [*sorted(set(report.classes) - {"other"}), "other"]
    table = titled(f"Kernels of {report.target}", "kernel", *kinds)
    table.columns[0].no_wrap = True
    for kernel, classes in sorted(report.kernels.items()):
        table.add_row(kernel, *(f"{classes.get(kind, 0):,}" for kind in kinds))
    return table
