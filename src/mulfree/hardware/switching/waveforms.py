"""How often nets change: every case of an old and a new operand at once, a bit for each.

Without glitches a net changes at most once, from its old to its settled value. With glitches each gate passes on
changes of its inputs after its delay, but no pulse shorter than that (inertial delay, as in Verilog). What a circuit
does lies between: pulses that are passed on need not reach the full voltage, and registers within would stop them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mulfree.hardware.switching.cells import Technology, Words
from mulfree.hardware.switching.netlist import CONSTANTS, Gate, Net, Netlist

STEPS_PER_GATE: Final = 8
"""Steps of time in a mean delay; changes within one step are one."""
_START: Final = -1


@dataclass(frozen=True)
class Waveform:
    """Values over time.

    Attributes:
        times: ascending; at the first, before all others, is the old value.
        values: (times, words).
    """

    times: NDArray[np.int64]
    values: Words

    def delayed(self, steps: int) -> Waveform:
        return Waveform(np.concatenate((self.times[:1], self.times[1:] + steps)), self.values)

    def at(self, times: NDArray[np.int64]) -> Words:
        places = np.searchsorted(self.times, times, side="right") - 1
        return np.asarray(self.values[places])

    @property
    def changes(self) -> int:
        return _ones(self.values[1:] ^ self.values[:-1])

    @property
    def least_changes(self) -> int:
        return _ones(self.values[-1] ^ self.values[0])


@dataclass(frozen=True)
class Switching:
    """Energy for one operation, in the technology's unit.

    Attributes:
        quiet: without glitches.
        glitching: with all of them.
    """

    quiet: float
    glitching: float


@dataclass(frozen=True)
class _Timed:
    """A gate with what follows from its load: energy of a change, delays of its inputs."""

    gate: Gate
    energy: float
    delays: Mapping[str, float]


def switching(netlist: Netlist, technology: Technology, operands: Mapping[str, list[int]]) -> Switching:
    """Energy of a unit that is given one set of operands after another, the mean over all changes from one to the next.

    Args:
        operands: port -> words, two or more, as many for each port.
    """
    cases = len(next(iter(operands.values()))) - 1
    waves = {net: wave for port, nets in netlist.inputs.items() for net, wave in _given(nets, operands[port])}
    waves |= {
        name: Waveform(np.array([_START]), np.full((1, -(-cases // 64)), word)) for name, word in CONSTANTS.items()
    }
    loads = _loads(netlist, technology)
    quiet = glitching = 0.0
    for net in (net for nets in netlist.inputs.values() for net in nets):
        energy = technology.energy("", "", loads.get(net, 0.0), technology.slew)
        quiet += energy * waves[net].least_changes
        glitching += energy * waves[net].changes
    timed = _timed(netlist, technology, loads)
    step = fmean(delay for gate in timed for delay in gate.delays.values()) / STEPS_PER_GATE
    left = Counter(net for gate in netlist.gates for net in set(gate.inputs.values()))
    for found in timed:
        wave = waves[found.gate.output] = _output(found, waves, step)
        quiet += found.energy * wave.least_changes
        glitching += found.energy * wave.changes
        for net in set(found.gate.inputs.values()):
            left[net] -= 1
            if not left[net]:
                del waves[net]
    return Switching(quiet / cases, glitching / cases)


def _given(nets: list[Net], words: list[int]) -> Iterator[tuple[Net, Waveform]]:
    numbers = np.array(words, np.uint64)
    for place, net in enumerate(nets):
        bits = (numbers >> np.uint64(place) & np.uint64(1)).astype(bool)
        yield net, Waveform(np.array([_START, 0]), np.stack((_packed(bits[:-1]), _packed(bits[1:]))))


def _packed(bits: NDArray[np.bool_]) -> Words:
    """Bits as words; what is left of the last word is zero."""
    return np.packbits(np.pad(bits, (0, -len(bits) % 64)), bitorder="little").view(np.uint64)


def _loads(netlist: Netlist, technology: Technology) -> dict[Net, float]:
    loads: dict[Net, float] = {}
    counted = {(id(gate.inputs), pin): (gate, net) for gate in netlist.gates for pin, net in gate.inputs.items()}
    for (_, pin), (gate, net) in counted.items():  # outputs of one cell share its inputs
        loads[net] = loads.get(net, 0.0) + technology.load(gate.kind, pin)
    return loads


def _timed(netlist: Netlist, technology: Technology, loads: Mapping[Net, float]) -> list[_Timed]:
    slews: dict[Net, float] = {}
    found = []
    for gate in netlist.gates:
        load = loads.get(gate.output, 0.0)
        reached = {pin: slews.get(net, technology.slew) for pin, net in gate.inputs.items()}
        arcs = {pin: technology.arc(gate.kind, gate.pin, pin, load, slew) for pin, slew in reached.items()}
        slews[gate.output] = max((slew for _, slew in arcs.values()), default=technology.slew)
        energy = technology.energy(gate.kind, gate.pin, load, fmean(reached.values()) if reached else technology.slew)
        found.append(_Timed(gate, energy, {pin: delay for pin, (delay, _) in arcs.items()}))
    return found


def _output(timed: _Timed, waves: Mapping[Net, Waveform], step: float) -> Waveform:
    inputs = {
        pin: waves[net].delayed(max(round(timed.delays[pin] / step), 1)) for pin, net in timed.gate.inputs.items()
    }
    if not inputs:
        raise ValueError(f"the cell {timed.gate.kind} has no inputs")
    times = reduce(np.union1d, (wave.times for wave in inputs.values()))
    values = timed.gate.function({pin: wave.at(times) for pin, wave in inputs.items()})
    return _without_pulses(times, values, max(round(min(timed.delays.values()) / step), 1))


def _without_pulses(times: NDArray[np.int64], values: Words, shortest: int) -> Waveform:
    """A waveform whose values last for ``shortest`` steps at least; of a shorter pulse both changes are left out."""
    changes = values[1:] ^ values[:-1]
    undone = np.zeros_like(changes)
    for ahead in range(1, min(shortest, len(changes))):
        soon = times[1 + ahead :] - times[1:-ahead] < shortest
        undone[:-ahead][soon] |= changes[ahead:][soon]
    result = values.copy()
    for row in range(1, len(result)):
        result[row] = result[row] & ~undone[row - 1] | result[row - 1] & undone[row - 1]
    kept = np.concatenate(([True], (result[1:] != result[:-1]).any(axis=1)))
    return Waveform(times[kept], result[kept])


def _ones(words: Words) -> int:
    return int(np.bitwise_count(words).sum())
