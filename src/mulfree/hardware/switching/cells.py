"""What a gate computes, loads, and costs when it switches: generic gates, and cells of a Liberty file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mulfree.hardware.switching.liberty import Group, LibertyError, Table, parse, table

Words = NDArray[np.uint64]
"""Values of a net, a bit for each case."""
Pins = Mapping[str, Words]
Function = Callable[[Pins], Words]
_Value = TypeVar("_Value")

GATES: Final[Mapping[str, Function]] = {
    "$_BUF_": lambda p: p["A"],
    "$_NOT_": lambda p: ~p["A"],
    "$_AND_": lambda p: p["A"] & p["B"],
    "$_NAND_": lambda p: ~(p["A"] & p["B"]),
    "$_OR_": lambda p: p["A"] | p["B"],
    "$_NOR_": lambda p: ~(p["A"] | p["B"]),
    "$_XOR_": lambda p: p["A"] ^ p["B"],
    "$_XNOR_": lambda p: ~(p["A"] ^ p["B"]),
    "$_ANDNOT_": lambda p: p["A"] & ~p["B"],
    "$_ORNOT_": lambda p: p["A"] | ~p["B"],
    "$_MUX_": lambda p: p["A"] & ~p["S"] | p["B"] & p["S"],
    "$_NMUX_": lambda p: ~(p["A"] & ~p["S"] | p["B"] & p["S"]),
    "$_AOI3_": lambda p: ~(p["A"] & p["B"] | p["C"]),
    "$_OAI3_": lambda p: ~((p["A"] | p["B"]) & p["C"]),
    "$_AOI4_": lambda p: ~(p["A"] & p["B"] | p["C"] & p["D"]),
    "$_OAI4_": lambda p: ~((p["A"] | p["B"]) & (p["C"] | p["D"])),
}
"""Yosys' gates; the output is Y."""

_TRANSISTORS: Final[Mapping[str, int]] = {
    "$_BUF_": 4, "$_NOT_": 2, "$_AND_": 6, "$_NAND_": 4, "$_OR_": 6, "$_NOR_": 4, "$_XOR_": 12, "$_XNOR_": 12,
    "$_ANDNOT_": 6, "$_ORNOT_": 6, "$_MUX_": 12, "$_NMUX_": 10, "$_AOI3_": 6, "$_OAI3_": 6, "$_AOI4_": 8, "$_OAI4_": 8,
}  # fmt: skip
"""As Yosys counts them for CMOS (``stat -tech cmos``)."""
_INPUTS: Final[Mapping[str, int]] = {
    "$_BUF_": 1, "$_NOT_": 1, "$_MUX_": 3, "$_NMUX_": 3, "$_AOI3_": 3, "$_OAI3_": 3, "$_AOI4_": 4, "$_OAI4_": 4
}  # fmt: skip
_UNITS: Final[Mapping[str, float]] = {"pf": 1.0, "ff": 1e-3, "nf": 1e3, "af": 1e-6}


class Technology(Protocol):
    """Gates of one kind of netlist.

    Attributes:
        unit: of energies.
        slew: of the unit's operands.
    """

    unit: str
    slew: float

    def load(self, kind: str, pin: str) -> float:
        """Of an input."""

    def arc(self, kind: str, output: str, pin: str, load: float, slew: float) -> tuple[float, float]:
        """Delay from an input to an output, and the output's slew."""

    def energy(self, kind: str, output: str, load: float, slew: float) -> float:
        """Of one change of an output, the mean of up and down; "" is an operand, whose load alone costs."""


class Generic:
    """Gates without a technology: each takes one unit of time, and a change costs the transistors that it drives.

    A gate's transistors are shared out evenly among its inputs.
    """

    unit = "transistors switched"
    slew = 0.0

    def load(self, kind: str, pin: str) -> float:
        return _TRANSISTORS[kind] / _INPUTS.get(kind, 2)

    def arc(self, kind: str, output: str, pin: str, load: float, slew: float) -> tuple[float, float]:
        return 1.0, 0.0

    def energy(self, kind: str, output: str, load: float, slew: float) -> float:
        return load


@dataclass(frozen=True)
class _Output:
    """Tables of an output: for each input those of delays and slews; energies within the cell, for each supply rail."""

    arcs: Mapping[str, tuple[list[Table], list[Table]]]
    energies: list[list[Table]]


class Library:
    """Cells of a Liberty file; rises and falls are averaged, and so are the cases of ``when``.

    A change costs what the tables of ``internal_power`` of outputs say, of all rails together, and half of load times
    voltage squared; ``internal_power`` of inputs is left out. Loads are those of the driven pins, without wires.
    Operands have the least slew of the tables.

    Raises:
        LibertyError: the file cannot be read, lacks these tables, or has tables of something else.
    """

    unit = "pJ"

    def __init__(self, text: str) -> None:
        try:
            self._read(parse(text))
        except (ValueError, IndexError, KeyError) as error:
            raise LibertyError(str(error)) from error

    def _read(self, library: Group) -> None:
        templates = {
            group.arguments[0]: group
            for group in library.groups
            if group.name.endswith("_template") and group.arguments
        }
        self._picofarads, self._volts = _picofarads(library), _voltage(library)
        self._loads: dict[tuple[str, str], float] = {}
        self._outputs: dict[tuple[str, str], _Output] = {}
        for cell in library.all("cell"):
            for pin in cell.all("pin"):
                key = cell.arguments[0], pin.arguments[0]
                if pin.values.get("direction") == "input":
                    self._loads[key] = _capacitance(pin, library)
                if pin.one("timing") and "function" in pin.values:
                    self._outputs[key] = _output(pin, templates)
        tables = [table for output in self._outputs.values() for rail in output.energies for table in rail]
        if not tables:
            raise LibertyError("the library has no tables of internal_power")
        self.slew = min(table.slews[0] for table in tables)

    def load(self, kind: str, pin: str) -> float:
        return _found(self._loads, kind, pin)

    def arc(self, kind: str, output: str, pin: str, load: float, slew: float) -> tuple[float, float]:
        delays, slews = _found(self._outputs, kind, output).arcs.get(pin, ([], []))
        if not delays:
            raise LibertyError(f"the library has no delay from {pin} to {output} of {kind}")
        later = fmean(table.at(load, slew) for table in slews) if slews else self.slew
        return fmean(table.at(load, slew) for table in delays), max(later, self.slew)

    def energy(self, kind: str, output: str, load: float, slew: float) -> float:
        within = _found(self._outputs, kind, output).energies if kind else []
        inside = sum(fmean(table.at(load, slew) for table in rail) for rail in within)
        # internal_power is in units of capacitance times volt squared
        return (inside + load * self._volts**2 / 2) * self._picofarads


def _found(pins: Mapping[tuple[str, str], _Value], kind: str, pin: str) -> _Value:
    if (kind, pin) not in pins:
        raise LibertyError(f"the library has no timing of the pin {pin} of {kind}")
    return pins[kind, pin]


def _output(pin: Group, templates: dict[str, Group]) -> _Output:
    def tables(groups: Iterable[Group], *names: str) -> list[Table]:
        return [table(inner, templates) for group in groups for inner in group.groups if inner.name in names]

    arcs = {}
    timing = [(group, group.values.get("related_pin", "").split()) for group in pin.all("timing")]
    for name in {name for _, names in timing for name in names}:
        groups = [group for group, names in timing if name in names]
        arcs[name] = (
            tables(groups, "cell_rise", "cell_fall"),
            tables(groups, "rise_transition", "fall_transition"),
        )
    rails: dict[str, list[Group]] = {}
    for group in pin.all("internal_power"):
        rails.setdefault(group.values.get("related_pg_pin", ""), []).append(group)
    energies = [tables(groups, "rise_power", "fall_power", "power") for groups in rails.values()]
    return _Output(arcs, [rail for rail in energies if rail])


def _capacitance(pin: Group, library: Group) -> float:
    """Of an input."""
    if "capacitance" in pin.values:
        return float(pin.values["capacitance"])
    ends = [float(pin.values[name]) for name in ("rise_capacitance", "fall_capacitance") if name in pin.values]
    if not ends and "default_input_pin_cap" not in library.values:
        raise LibertyError(f"the pin {pin.arguments[0]} has no capacitance")
    return fmean(ends) if ends else float(library.values["default_input_pin_cap"])


def _voltage(library: Group) -> float:
    if "nom_voltage" not in library.values:
        raise LibertyError("the library has no nom_voltage")
    return float(library.values["nom_voltage"])


def _picofarads(library: Group) -> float:
    """One unit of capacitance; that of the standard if the library has none."""
    unit = library.one("capacitive_load_unit")
    text = "".join(unit.arguments).lower() if unit else "1pf"
    if text[-2:] not in _UNITS:
        raise LibertyError(f"capacitive_load_unit must be in {', '.join(_UNITS)}, got {text}")
    return float(text[:-2]) * _UNITS[text[-2:]]
