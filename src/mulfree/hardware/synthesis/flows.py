"""One synthesis: a unit to gates, to a library's cells, or to an FPGA; each in its own folder and with a time limit."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from mulfree.hardware import rtl
from mulfree.hardware.rtl import yosys
from mulfree.hardware.rtl.yosys import YosysError
from mulfree.hardware.switching import Generic, LibertyError, Library, Netlist, Stream, Technology, switching
from mulfree.hardware.synthesis import parse
from mulfree.hardware.synthesis.parse import SynthesisError
from mulfree.hardware.synthesis.placement import place
from mulfree.hardware.synthesis.points import GLITCHING, QUIET
from mulfree.hardware.synthesis.recipes import FAMILIES, Device, Family, Recipe

_READ = ("read_rtlil unit.il", "flatten -noscopeinfo")
_STATISTICS, _PATH, _DESIGN = "stat.json", "path.txt", "design.json"
_READ_CELLS: Final = "read_liberty -ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch cells.lib"
_PRODUCTS: Final = ("pam", "pam_compensated", "ieee_multiplier", "pam_multiply_add", "ieee_multiply_add")
"""Units whose operands are factors of products."""
GAUSSIAN: Final = "Gaussian"
"""Name of the operands that every unit is given; others are of products only."""
Streams = Mapping[str, Stream]
"""Operands to measure energies with, by name."""


class EnergyError(SynthesisError):
    """Energies cannot be had; ``numbers`` are the others."""

    def __init__(self, message: str, numbers: dict[str, float]) -> None:
        super().__init__(f"no energies: {message}")
        self.numbers = numbers


@contextmanager
def _folder(unit: str, format: str, registers: bool) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mulfree-") as place:
        folder = Path(place)
        (folder / "unit.il").write_text(circuit(unit, format, registers))
        yield folder


@cache
def circuit(unit: str, format: str, registers: bool) -> str:
    """A unit in RTLIL."""
    return rtl.rtlil(unit, rtl.Format.named(format), registers=registers)


def _read(folder: Path, name: str) -> str:
    """A file that the tool was to write; its exit code alone proves nothing."""
    path = folder / name
    text = path.read_text() if path.exists() else ""
    if not text.strip():
        raise SynthesisError(f"Yosys ended without an error but wrote no {name}")
    return text


def to_gates(unit: str, format: str, recipe: Recipe, streams: Streams, seconds: float) -> dict[str, float]:
    """Transistors, depth and energies (transistors switched) of the combinational unit in NAND, NOR, AND, OR, XOR,
    multiplexers and AOI/OAI gates."""
    with _folder(unit, format, registers=False) as folder:
        commands = [
            *_READ, recipe.front, f"abc -g cmos4 -script {recipe.script}", "opt_clean",
            f"tee -o {_STATISTICS} stat -tech cmos -json", f"tee -o {_PATH} ltp -noff", f"write_json {_DESIGN}",
        ]  # fmt: skip
        yosys.run(commands, seconds, folder)
        design = parse.statistics(_read(folder, _STATISTICS))
        return {
            "transistors": parse.transistors(design),
            "depth": parse.depth(_read(folder, _PATH)),
            "cells": sum(parse.cells(design).values()),
            **_energies(folder, unit, format, Generic(), streams),
        }


def to_library(
    unit: str, format: str, recipe: Recipe, liberty: Path, streams: Streams, seconds: float
) -> dict[str, float]:
    """Area (in the library's units), delay (ps) and energies (pJ, if the library has them) of the combinational unit in
    the cells of a Liberty file."""
    with _folder(unit, format, registers=False) as folder:
        content = liberty_bytes(liberty)
        (folder / "cells.lib").write_bytes(content)
        commands = [
            *_READ, recipe.front, f"abc -liberty cells.lib -script {recipe.timed}", "opt_clean",
            f"tee -o {_STATISTICS} stat -liberty cells.lib -json", "write_rtlil mapped.il",
        ]  # fmt: skip
        output = yosys.run(commands, seconds, folder)
        design = parse.statistics(_read(folder, _STATISTICS))
        library = _library(content)
        numbers = {
            "area": parse.area(design),
            "delay": parse.delay(output),
            "cells": sum(parse.cells(design).values()),
        }
        if isinstance(library, LibertyError):
            return numbers
        try:
            yosys.run(["read_rtlil mapped.il", _READ_CELLS, f"write_json {_DESIGN}"], seconds, folder)
            return {**numbers, **_energies(folder, unit, format, library, streams)}
        except (ValueError, YosysError) as error:
            raise EnergyError(str(error), numbers) from error


def liberty_bytes(path: Path) -> bytes:
    """A Liberty file, which gzip may have compressed.

    Raises:
        OSError, EOFError: It cannot be read.
    """
    content = path.read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


@cache
def _library(content: bytes) -> Library | LibertyError:
    try:
        return Library(content.decode(errors="replace"))
    except LibertyError as error:
        return error


def no_energies(liberty: Path) -> str | None:
    """Why a library gives no energies; None if it does."""
    library = _library(liberty_bytes(liberty))
    return None if isinstance(library, Library) else str(library)


def _energies(folder: Path, unit: str, format: str, technology: Technology, streams: Streams) -> dict[str, float]:
    """Without and with glitches, for each stream."""
    netlist = Netlist.of_json(json.loads(_read(folder, _DESIGN)))
    numbers: dict[str, float] = {}
    for name, stream in streams.items():
        if name == GAUSSIAN or unit in _PRODUCTS:
            operands = stream.of_unit(unit, list(netlist.inputs), rtl.Format.named(format))
            found = switching(netlist, technology, operands)
            numbers |= {f"{QUIET}{name}": found.quiet, f"{GLITCHING}{name}": found.glitching}
    return numbers


def multiplies(unit: str, format: str) -> bool:
    """Whether there is a multiplication in the unit, which a multiplier block could do."""
    return "cell $mul " in circuit(unit, format, registers=True)


def to_fpga(unit: str, format: str, family: Family, blocks: bool, routed: bool, seconds: float) -> dict[str, float]:
    """Look-up tables, blocks, registers and cells of the unit between registers; with ``routed`` also clock rates."""
    device = FAMILIES[family]
    option = device.using if blocks else device.without
    with _folder(unit, format, registers=True) as folder:
        written = f"-json {_DESIGN}" if routed else ""
        commands = [
            "read_rtlil unit.il", " ".join(filter(None, (device.command, option, written))), "flatten",
            f"tee -o {_STATISTICS} stat -json",
        ]  # fmt: skip
        yosys.run(commands, seconds, folder)
        numbers = count(device, parse.cells(parse.statistics(_read(folder, _STATISTICS))))
        if routed:
            _read(folder, _DESIGN)
            numbers |= place(folder, _DESIGN, seconds)
        return numbers


def count(device: Device, found: dict[str, int]) -> dict[str, float]:
    """An FPGA's cells in few numbers."""
    return {
        "luts": sum(weight * found.get(kind, 0) for kind, weight in device.luts.items()),
        "blocks": sum(found.get(kind, 0) for kind in device.blocks),
        "registers": sum(count for kind, count in found.items() if kind.startswith(device.registers)),
        "cells": sum(found.values()),
    }


def yosys_version(seconds: float = 60) -> str:
    """Of the Yosys that runs."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        yosys.run([f"tee -o {_STATISTICS} stat -json"], seconds, folder)
        return parse.version(_read(folder, _STATISTICS))


def library_name(liberty: Path) -> str:
    """``osu018_stdcells`` of a path."""
    return os.path.basename(liberty).removesuffix(".gz").removesuffix(".lib")
