"""Units in Amaranth's simulator: words in, words out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from amaranth.hdl import Module
from amaranth.sim import Simulator

from mulfree.hardware.rtl.circuits import Elementwise


def results(core: Elementwise, operands: Iterable[Sequence[int]]) -> list[int]:
    """What a combinational unit makes of each tuple of operands."""
    top = Module()
    top.submodules.core = core
    ports = [getattr(core, name) for name in core.operands]
    found: list[int] = []

    async def drive(context: Any) -> None:
        for words in operands:
            for port, word in zip(ports, words, strict=True):
                context.set(port, word)
            await context.delay(1e-9)
            found.append(context.get(core.y))

    simulator = Simulator(top)
    simulator.add_testbench(drive)
    simulator.run()
    return found


def clocked(component: Any, cycles: Iterable[dict[str, int]], outputs: Sequence[str]) -> list[dict[str, int]]:
    """Run a clocked unit: the inputs of each cycle, and its outputs at the end of that cycle, before the edge."""
    found: list[dict[str, int]] = []

    async def drive(context: Any) -> None:
        for words in cycles:
            for name, word in words.items():
                context.set(getattr(component, name), word)
            found.append({name: context.get(getattr(component, name)) for name in outputs})
            await context.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return found
