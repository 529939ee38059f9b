"""Units as RTLIL and as Verilog."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from mulfree.hardware.rtl import yosys
from mulfree.hardware.rtl.catalog import DEFAULTS, MISSING, UNITS, unit
from mulfree.hardware.rtl.words import Format

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

_SECONDS = 60


def module_name(name: str, format: Format) -> str:
    """``pam_bfloat16``."""
    return f"{name}_{str(format).lower()}"


def rtlil(name: str, format: Format, *, registers: bool = True, **options: Any) -> str:
    """A unit (arguments as of ``unit``) in Yosys' own language, with a header. The module's name is ``pam_float32``."""
    return _header("#", name, format, registers, options) + plain_rtlil(
        unit(name, format, registers=registers, **options), module_name(name, format)
    )


def verilog(name: str, format: Format, *, registers: bool = True, **options: Any) -> str:
    """A unit (arguments as of ``unit``) in Verilog, with a header; Yosys writes it. The name is ``pam_float32``."""
    text = plain_rtlil(unit(name, format, registers=registers, **options), module_name(name, format))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "unit.il").write_text(text)
        flat = ["flatten -noscopeinfo", "opt_clean"] if UNITS[name].elementwise else []
        commands = ["read_rtlil unit.il", "proc -nomux -norom", *flat, "write_verilog -norename -noattr unit.v"]
        yosys.run(commands, _SECONDS, folder)
        written = (folder / "unit.v").read_text()
    return _header("//", name, format, registers, options) + written


def plain_rtlil(component: Component, name: str) -> str:
    """Any component of this package in RTLIL; ``name`` is that of the top module."""
    try:
        from amaranth.back import rtlil as backend
    except ModuleNotFoundError as error:
        raise ImportError(MISSING) from error
    return str(backend.convert(component, name=name, emit_src=False))


def _header(comment: str, name: str, format: Format, registers: bool, options: dict[str, Any]) -> str:
    kind = UNITS[name]
    values = {option: options.get(option, DEFAULTS[option]) for option in kind.options}
    frame = "registers before the operands and after the result" if registers else "combinational"
    lines = [
        f"{module_name(name, format)}: {kind.summary}",
        f"Written by mulfree {version('mulfree')}.",
        f"Format {format}: 1 sign, {format.exponent_bits} exponent, {format.mantissa_bits} mantissa bits;"
        f" ONE = {format.one:#x}, MIN = {format.step:#x}, INF = {format.inf:#x}, NAN = {format.nan:#x}.",
        f"Result: {kind.semantics}.",
        *([f"Options: {', '.join(f'{option} = {value}' for option, value in values.items())}."] if values else []),
        f"Special operands: {kind.special}. mag() is a word without its sign.",
        "Denormals of the format count as the zero of their sign, in operands and results.",
        *([f"Timing: {frame}."] if kind.elementwise else []),
    ]
    wrapped = (part for line in lines for part in wrap(line, 116, subsequent_indent="  "))
    return "".join(f"{comment} {line}\n" for line in wrapped) + "\n"
