"""A combinational unit between registers: the same frame for every unit that is compared."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mulfree.hardware.rtl.circuits import Elementwise


class Registered(wiring.Component):
    """Registers (without reset) before the operands and after the result: a result a cycle, two cycles later."""

    def __init__(self, core: Elementwise) -> None:
        super().__init__({**{name: In(width) for name, width in core.operands.items()}, "y": Out(core.result)})
        self.core = core

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = self.core
        for name, width in self.core.operands.items():
            held = Signal(width, name=f"{name}_held", reset_less=True)
            m.d.sync += held.eq(getattr(self, name))
            m.d.comb += getattr(self.core, name).eq(held)
        held = Signal(self.core.result, name="y_held", reset_less=True)
        m.d.sync += held.eq(self.core.y)
        m.d.comb += self.y.eq(held)
        return m
