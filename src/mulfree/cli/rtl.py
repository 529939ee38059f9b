"""``mulfree rtl``: the arithmetic units as Verilog or RTLIL, and the proof that they are the law."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mulfree.cli.errors import FAILED, reported
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen, titled
from mulfree.hardware.rtl import DEFAULTS, UNITS, Format, rtlil, verilog
from mulfree.hardware.rtl.proof import OPERATIONS, SECONDS, Proof, prove
from mulfree.hardware.rtl.yosys import YosysError
from mulfree.train import ConfigError, OutputError
from mulfree.train.errors import writing

_WRITERS = {".v": verilog, ".il": rtlil}


def rtl(
    name: Annotated[str | None, typer.Argument(metavar="UNIT", help="Name of a unit; --list shows them.")] = None,
    *,
    format: Annotated[str, typer.Option(help="float32, bfloat16, float16, or like E8M4.")] = "float32",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Verilog (.v) or RTLIL (.il); Verilog on the screen if not given."),
    ] = None,
    registers: Annotated[
        bool, typer.Option("--registers/--combinational", help="An elementwise unit between registers, or without.")
    ] = True,
    alpha: Annotated[float | None, typer.Option(help="Compensation, of units that have it; 1 is none.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Products a cycle of a dot product, 4 if not given.")] = None,
    rows: Annotated[int | None, typer.Option(help="Of a tile, 4 if not given.")] = None,
    columns: Annotated[int | None, typer.Option(help="Of a tile, 4 if not given.")] = None,
    proof: Annotated[
        bool,
        typer.Option(
            "--prove", help="Prove that the unit is the law for all operands; then write it if --output is given."
        ),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(help="Time that a proof may take.", show_default=f"{SECONDS:g}")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the units.")] = False,
) -> None:
    r"""Write a unit of the arithmetic for hardware, or prove it (pip install 'mulfree\[hdl]')."""
    if list_:
        screen().print(_units())
        return
    given = {"alpha": alpha, "lanes": lanes, "rows": rows, "columns": columns}
    options = {option: value for option, value in given.items() if value is not None}
    with reported():
        if name is None:
            raise ConfigError(f"which unit? One of {', '.join(UNITS)}")
        check_output("--output", output, *_WRITERS)
        if seconds is not None and not (proof and seconds > 0):
            raise ConfigError(f"--seconds: {'must be positive' if proof else 'goes with --prove'}, got {seconds:g}")
        suffix = ".v" if output is None else output.suffix.lower()
        if proof:
            if output is not None and name not in UNITS:
                raise ConfigError(f"{name} is a part of units and is only proved: leave out --output")
            _prove(name, format, options, SECONDS if seconds is None else seconds)
            if output is None:
                return
        with _understood():
            text = _WRITERS[suffix](name, Format.named(format), registers=registers, **options)
        if output is None:
            typer.echo(text, nl=False)
            return
        with writing(output):
            output.write_text(text)
    screen().print(f"Wrote {output}", highlight=False, markup=False, soft_wrap=True)


def _prove(name: str, format: str, options: Mapping[str, float], seconds: float) -> None:
    if name not in OPERATIONS:
        raise ConfigError(f"{name} has no proof of its own; these have: {', '.join(OPERATIONS)}")
    for option in options:
        if option != "alpha" or name != "pam_compensated":
            raise ConfigError(f"{name} has no option {option}")
    with _understood():
        result = prove(name, Format.named(format), options.get("alpha", DEFAULTS["alpha"]), seconds)
    screen().print(_verdict(result), highlight=False, markup=False, soft_wrap=True)
    if not result.proved:
        raise typer.Exit(FAILED)


def _verdict(proof: Proof) -> str:
    if proof.proved:
        return f"{proof.unit}, {proof.format}: equal to the law for all operands, proved in {proof.seconds:.1f} s"
    operands = ", ".join(f"{word:#x}" for word in proof.operands)
    return f"{proof.unit}, {proof.format}: of {operands} the unit makes {proof.found:#x}, the law {proof.expected:#x}"


def _units() -> Table:
    table = titled("Units of the arithmetic", "unit", "what it is", "options", "proof", words=4)
    for name, kind in UNITS.items():
        table.add_row(name, kind.summary, ", ".join(kind.options), "yes" if name in OPERATIONS else "")
    return table


@contextmanager
def _understood() -> Iterator[None]:
    """Errors of the package as those that the command line reports."""
    try:
        yield
    except ConfigError:
        raise
    except (ValueError, ImportError) as error:
        raise ConfigError(str(error)) from error
    except YosysError as error:
        raise OutputError(str(error)) from error
