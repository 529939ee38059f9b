"""A mapped unit as a list of gates in the order of signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Final

import numpy as np

from mulfree.hardware.switching.cells import GATES, Function, Pins, Words

Net = int | str
"""A number of Yosys', or a constant: "0", "1", "x"."""
CONSTANTS: Final = {"0": np.uint64(0), "1": ~np.uint64(0), "x": np.uint64(0)}


@dataclass(frozen=True)
class Gate:
    """One output of a cell.

    Attributes:
        kind: of the cell.
        pin: the output's.
        output: its net.
        inputs: pin -> net.
        function: of the values of inputs.
    """

    kind: str
    pin: str
    output: Net
    inputs: Mapping[str, Net]
    function: Function


@dataclass(frozen=True)
class Netlist:
    """A combinational circuit.

    Attributes:
        inputs, outputs: port -> nets, the lowest bit first.
        gates: each after those that it depends on.
    """

    inputs: Mapping[str, list[Net]]
    outputs: Mapping[str, list[Net]]
    gates: list[Gate]

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Netlist:
        """The top module of Yosys' ``write_json``; cells that are no gates are modules of the same file.

        Raises:
            ValueError: there is no top module, or a cell that is nowhere described.
        """
        modules = data["modules"]
        tops = [name for name, module in modules.items() if int(str(module["attributes"].get("top", "0")), 2)]
        if len(tops) != 1:
            raise ValueError(f"expected one top module, got {len(tops)}")
        return cls._of_module(modules, tops[0])

    @classmethod
    def _of_module(cls, modules: Mapping[str, Any], name: str) -> Netlist:
        module = modules[name]
        ports: dict[str, dict[str, list[Net]]] = {"input": {}, "output": {}}
        for port, described in module["ports"].items():
            ports[described["direction"]][port] = described["bits"]
        cells = list(module["cells"].values())
        kinds = {cell["type"] for cell in cells} - GATES.keys()
        if unknown := kinds - modules.keys():
            raise ValueError(f"there is no description of the cell {min(unknown)}")
        insides = {kind: cls._of_module(modules, kind) for kind in kinds}
        return cls(
            ports["input"], ports["output"], _ordered([gate for cell in cells for gate in _gates(insides, cell)])
        )

    def values(self, inputs: Mapping[str, list[Words]]) -> dict[Net, Words]:
        """Settled values of all nets, from those of each bit of the inputs."""
        found = {net: bits for port, nets in self.inputs.items() for net, bits in zip(nets, inputs[port], strict=True)}
        values: dict[Net, Words] = dict(found)
        shape = next(iter(found.values())).shape
        values.update((name, np.full(shape, word)) for name, word in CONSTANTS.items())
        for gate in self.gates:
            values[gate.output] = gate.function({pin: values[net] for pin, net in gate.inputs.items()})
        return values


def _gates(insides: Mapping[str, Netlist], cell: Mapping[str, Any]) -> list[Gate]:
    """Each output of a cell as a gate."""
    kind: str = cell["type"]
    nets = {pin: bits[0] for pin, bits in cell["connections"].items()}
    if kind in GATES:
        return [Gate(kind, "Y", nets["Y"], {pin: net for pin, net in nets.items() if pin != "Y"}, GATES[kind])]
    inside = insides[kind]
    inputs = {pin: net for pin, net in nets.items() if pin in inside.inputs}
    return [Gate(kind, pin, nets[pin], inputs, _function(inside, pin)) for pin in inside.outputs if pin in nets]


def _function(inside: Netlist, output: str) -> Function:
    (net,) = inside.outputs[output]

    def function(pins: Pins) -> Words:
        return inside.values({pin: [words] for pin, words in pins.items()})[net]

    return function


def _ordered(gates: list[Gate]) -> list[Gate]:
    by_net = {gate.output: gate for gate in gates}
    graph = {net: [source for source in gate.inputs.values() if source in by_net] for net, gate in by_net.items()}
    return [by_net[net] for net in TopologicalSorter(graph).static_order()]
