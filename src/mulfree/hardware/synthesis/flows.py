"""One synthesis: a unit to gates, to a library's cells, or to an FPGA; each in its own folder and with a time limit."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from mulfree.hardware import rtl
from mulfree.hardware.rtl import yosys
from mulfree.hardware.synthesis import parse
from mulfree.hardware.synthesis.parse import SynthesisError
from mulfree.hardware.synthesis.placement import place
from mulfree.hardware.synthesis.recipes import FAMILIES, Device, Family, Recipe

_READ = ("read_rtlil unit.il", "flatten -noscopeinfo")
_STATISTICS, _PATH, _DESIGN = "stat.json", "path.txt", "design.json"


@contextmanager
def _folder(unit: str, format: str, registers: bool) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mulfree-") as place:
        folder = Path(place)
        (folder / "unit.il").write_text(rtl.rtlil(unit, rtl.Format.named(format), registers=registers))
        yield folder


def _read(folder: Path, name: str) -> str:
    """A file that the tool was to write; its exit code alone proves nothing."""
    path = folder / name
    text = path.read_text() if path.exists() else ""
    if not text.strip():
        raise SynthesisError(f"Yosys ended without an error but wrote no {name}")
    return text


def to_gates(unit: str, format: str, recipe: Recipe, seconds: float) -> dict[str, float]:
    """Transistors and depth of the combinational unit in NAND, NOR, AND, OR, XOR, multiplexers and AOI/OAI gates."""
    with _folder(unit, format, registers=False) as folder:
        commands = [
            *_READ, recipe.front, f"abc -g cmos4 -script {recipe.script}", "opt_clean",
            f"tee -o {_STATISTICS} stat -tech cmos -json", f"tee -o {_PATH} ltp -noff",
        ]  # fmt: skip
        yosys.run(commands, seconds, folder)
        design = parse.statistics(_read(folder, _STATISTICS))
        return {
            "transistors": parse.transistors(design),
            "depth": parse.depth(_read(folder, _PATH)),
            "cells": sum(parse.cells(design).values()),
        }


def to_library(unit: str, format: str, recipe: Recipe, liberty: Path, seconds: float) -> dict[str, float]:
    """Area (in the library's units) and delay (ps) of the combinational unit in the cells of a Liberty file."""
    with _folder(unit, format, registers=False) as folder:
        shutil.copyfile(liberty, folder / "cells.lib")
        commands = [
            *_READ, recipe.front, f"abc -liberty cells.lib -script {recipe.timed}", "opt_clean",
            f"tee -o {_STATISTICS} stat -liberty cells.lib -json",
        ]  # fmt: skip
        output = yosys.run(commands, seconds, folder)
        design = parse.statistics(_read(folder, _STATISTICS))
        return {
            "area": parse.area(design),
            "delay": parse.delay(output),
            "cells": sum(parse.cells(design).values()),
        }


@cache
def multiplies(unit: str, format: str) -> bool:
    """Whether there is a multiplication in the unit, which a multiplier block could do."""
    return "cell $mul " in rtl.rtlil(unit, rtl.Format.named(format))


def to_fpga(unit: str, format: str, family: Family, blocks: bool, routed: bool, seconds: float) -> dict[str, float]:
    """Look-up tables, blocks, registers and cells of the unit between registers; with ``routed`` also ``fmax``."""
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
            numbers["fmax"] = place(folder, _DESIGN, seconds)
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
