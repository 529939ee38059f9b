"""Counts of changes against a simulator that handles one change of the operands and one event after the other."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count, pairwise, product

import numpy as np
import pytest

from mulfree.hardware.switching import Generic, Netlist, switching
from mulfree.hardware.switching.cells import GATES
from mulfree.hardware.switching.netlist import Gate, Net
from mulfree.hardware.switching.waveforms import STEPS_PER_GATE

_PLAIN: dict[str, tuple[str, Callable[..., bool]]] = {
    "$_BUF_": ("A", lambda a: a),
    "$_NOT_": ("A", lambda a: not a),
    "$_AND_": ("AB", lambda a, b: a and b),
    "$_NAND_": ("AB", lambda a, b: not (a and b)),
    "$_OR_": ("AB", lambda a, b: a or b),
    "$_NOR_": ("AB", lambda a, b: not (a or b)),
    "$_XOR_": ("AB", lambda a, b: a != b),
    "$_XNOR_": ("AB", lambda a, b: a == b),
    "$_ANDNOT_": ("AB", lambda a, b: a and not b),
    "$_ORNOT_": ("AB", lambda a, b: a or not b),
    "$_MUX_": ("ABS", lambda a, b, s: b if s else a),
    "$_NMUX_": ("ABS", lambda a, b, s: not (b if s else a)),
    "$_AOI3_": ("ABC", lambda a, b, c: not ((a and b) or c)),
    "$_OAI3_": ("ABC", lambda a, b, c: not ((a or b) and c)),
    "$_AOI4_": ("ABCD", lambda a, b, c, d: not ((a and b) or (c and d))),
    "$_OAI4_": ("ABCD", lambda a, b, c, d: not ((a or b) and (c or d))),
}


class _Delays(Generic):
    """Each kind has a delay of its own, and a change of any net costs 1."""

    def __init__(self, delays: dict[str, float]) -> None:
        self.delays = delays

    def arc(self, kind: str, output: str, pin: str, load: float, slew: float) -> tuple[float, float]:
        return self.delays[kind], 0.0

    def energy(self, kind: str, output: str, load: float, slew: float) -> float:
        return 1.0


def _random_netlist(rng: random.Random, inputs: int, gates: int) -> Netlist:
    nets: list[Net] = list(range(inputs))
    found = []
    for output in range(inputs, inputs + gates):
        kind = rng.choice(list(_PLAIN))
        pins = {pin: rng.choice([*nets[-12:], "1"]) for pin in _PLAIN[kind][0]}
        found.append(Gate(kind, "Y", output, pins, GATES[kind]))
        nets.append(output)
    return Netlist({"a": list(range(inputs))}, {"y": [nets[-1]]}, found)


def _settled(netlist: Netlist, word: int) -> dict[Net, bool]:
    values: dict[Net, bool] = {"0": False, "1": True}
    values |= {net: bool(word >> place & 1) for place, net in enumerate(netlist.inputs["a"])}
    for gate in netlist.gates:
        pins, function = _PLAIN[gate.kind]
        values[gate.output] = function(*(values[gate.inputs[pin]] for pin in pins))
    return values


def _changes(netlist: Netlist, delays: dict[str, int], old: int, new: int) -> int:
    """Changes of all nets after the operand's, with inertial delays: a newer event of a net replaces the older."""
    values = _settled(netlist, old)
    order = count()
    queue: list[tuple[int, int, Net, bool]] = []
    for place, net in enumerate(netlist.inputs["a"]):
        heapq.heappush(queue, (0, next(order), net, bool(new >> place & 1)))
    pending: dict[Net, tuple[int, bool]] = {}  # number of the event, its value
    total = 0
    while queue:
        now = queue[0][0]
        changed = set()
        while queue and queue[0][0] == now:
            _, number, net, value = heapq.heappop(queue)
            if net in pending and pending[net][0] != number:
                continue  # replaced
            if net not in pending and now > 0:
                continue  # cancelled
            pending.pop(net, None)
            if values[net] != value:
                values[net] = value
                changed.add(net)
                total += 1
        for gate in netlist.gates:
            if not changed & set(gate.inputs.values()):
                continue
            pins, function = _PLAIN[gate.kind]
            value = function(*(values[gate.inputs[pin]] for pin in pins))
            if value == pending.get(gate.output, (0, values[gate.output]))[1]:
                continue
            pending.pop(gate.output, None)
            if value != values[gate.output]:
                number = next(order)
                pending[gate.output] = number, value
                heapq.heappush(queue, (now + delays[gate.kind], number, gate.output, value))
    assert values == _settled(netlist, new)
    return total


@pytest.mark.parametrize("kind", list(GATES))
def test_gates(kind: str) -> None:
    pins, function = _PLAIN[kind]
    cases = list(product((0, 1), repeat=len(pins)))
    words = {pin: np.array([case[place] for case in cases], np.uint64) for place, pin in enumerate(pins)}
    found = GATES[kind](words) & np.uint64(1)
    assert found.tolist() == [int(bool(function(*case))) for case in cases]


@pytest.mark.parametrize("seed", range(20))
def test_changes(seed: int) -> None:
    rng = random.Random(seed)
    netlist = _random_netlist(rng, inputs=6, gates=40)
    slow = {kind: float(rng.randint(1, 5)) for kind in _PLAIN}
    arcs = [slow[gate.kind] for gate in netlist.gates for _ in gate.inputs]
    step = sum(arcs) / len(arcs) / STEPS_PER_GATE
    steps = {kind: max(round(delay / step), 1) for kind, delay in slow.items()}
    words = [rng.getrandbits(6) for _ in range(150)]
    expected = [_changes(netlist, steps, old, new) for old, new in pairwise(words)]
    settled = [_settled(netlist, word) for word in words]
    quiet = sum(old[net] != new[net] for old, new in pairwise(settled) for net in old)
    found = switching(netlist, _Delays(slow), {"a": words})
    assert found.glitching == pytest.approx(sum(expected) / 149)
    assert found.quiet == pytest.approx(quiet / 149)
    assert found.glitching >= found.quiet


def test_a_pulse_passes_unless_it_is_shorter_than_the_gate() -> None:
    """a and not a, the second one late."""
    late = Gate("$_NOT_", "Y", 1, {"A": 0}, GATES["$_NOT_"])
    both = Gate("$_AND_", "Y", 2, {"A": 0, "B": 1}, GATES["$_AND_"])
    netlist = Netlist({"a": [0]}, {"y": [2]}, [late, both])
    slow_inverter = switching(netlist, _Delays({"$_NOT_": 3, "$_AND_": 1}), {"a": [0, 1]})
    slow_and = switching(netlist, _Delays({"$_NOT_": 1, "$_AND_": 3}), {"a": [0, 1]})
    assert (slow_inverter.quiet, slow_inverter.glitching) == (2, 4)
    assert (slow_and.quiet, slow_and.glitching) == (2, 2)


def test_transistors_that_a_net_drives() -> None:
    """An operand drives both pins of a NAND (4 transistors), whose output drives an inverter (2)."""
    nand = Gate("$_NAND_", "Y", 1, {"A": 0, "B": 0}, GATES["$_NAND_"])
    inverter = Gate("$_NOT_", "Y", 2, {"A": 1}, GATES["$_NOT_"])
    netlist = Netlist({"a": [0]}, {"y": [2]}, [nand, inverter])
    assert switching(netlist, Generic(), {"a": [0, 1, 1]}).quiet == (4 + 2) / 2
