"""Reading what the tools print. Nothing is taken for granted: what is not there is an error, not a zero."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


class SynthesisError(RuntimeError):
    """A tool's output lacks what was asked for."""


def statistics(text: str) -> dict[str, Any]:
    """The whole design's part of Yosys' ``stat -json``.

    Raises:
        SynthesisError: It is no such output, or the design has no cells.
    """
    try:
        design: dict[str, Any] = json.loads(text)["design"]
    except (ValueError, KeyError, TypeError) as error:
        raise SynthesisError(f"expected the output of stat -json, got {text[:60]!r}") from error
    if not cells(design):
        raise SynthesisError("stat -json counts no cells: the design has been optimized away, or Yosys fell silent")
    return design


def cells(design: Mapping[str, Any]) -> dict[str, int]:
    """Number of cells by type."""
    return {kind: int(count) for kind, count in design.get("num_cells_by_type", {}).items() if kind != "$scopeinfo"}


def transistors(design: Mapping[str, Any]) -> int:
    """Of ``stat -tech cmos -json``; a trailing ``+`` would mean that some cells are not counted."""
    found = str(design.get("estimated_num_transistors", ""))
    if not re.fullmatch(r"\d+", found):
        raise SynthesisError(f"expected a number of transistors of all cells, got {found!r}")
    return int(found)


def area(design: Mapping[str, Any]) -> float:
    """Chip area of ``stat -liberty FILE -json``, in the units of the library."""
    if foreign := [kind for kind in cells(design) if kind.startswith("$")]:
        raise SynthesisError(f"{foreign[0]} has not been mapped to a cell of the library")
    found = design.get("area")
    if not isinstance(found, int | float) or found <= 0:
        raise SynthesisError(f"expected a chip area, got {found!r}")
    return float(found)


def depth(text: str) -> int:
    """Cells on the longest path, of Yosys' ``ltp``."""
    found = re.search(r"Longest topological path in .*\(length=(\d+)\)", text)
    if found is None:
        raise SynthesisError("ltp printed no longest path")
    return int(found[1])


def delay(text: str) -> float:
    """Picoseconds of the slowest path, of ABC's ``stime -p``; the last of several."""
    found = re.findall(r"Delay =\s*([\d.]+)\s*ps", text)
    if not found:
        raise SynthesisError("ABC's stime printed no delay: the library may have no timing tables that ABC understands")
    return float(found[-1])


def version(text: str) -> str:
    """That of the Yosys which wrote ``stat -json``."""
    return str(json.loads(text).get("creator", "Yosys ?")).partition(" (")[0].removeprefix("Yosys ")


def clock_rate(text: str) -> float:
    """MHz of the only clock of nextpnr's report."""
    try:
        clocks = list(json.loads(text)["fmax"].values())
        return float(clocks[0]["achieved"])
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise SynthesisError("nextpnr's report has no clock rate") from error
