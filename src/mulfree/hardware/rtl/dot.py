"""A dot product in the law's order of accumulation (``docs/spec.md``, section 6)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mulfree.hardware.rtl.accumulate import MultiplyAdd, Product
from mulfree.hardware.rtl.ieee import IeeeAdder
from mulfree.hardware.rtl.words import FLOAT32, Format
from mulfree.numerics.formats import DOT_CHUNK


class DotProduct(wiring.Component):
    """A dot product of any length, ``lanes`` products a cycle, with the bits of the law.

    While ``valid``, ``a_0 .. a_n`` and ``b_0 .. b_n`` are the next products in ascending order; ``first`` starts a dot
    product, ``last`` ends it (both may be set). Fill the last group up with zeros: their products add nothing. Two
    cycles after ``last``, ``y`` is the result and ``done`` is set for one cycle.

    The lanes of a cycle are added one after the other, so that the order is that of the law: a chain of ``lanes``
    adders without registers between them. After 256 products the sum of the chunk is added to the total.
    """

    def __init__(self, format: Format, lanes: int = 4, product: Product = "pam", offset: int = 0) -> None:
        if lanes < 1 or DOT_CHUNK % lanes:
            raise ValueError(f"lanes must divide the chunk of {DOT_CHUNK} products, got {lanes}")
        operands = {f"{name}_{lane}": In(format.width) for name in "ab" for lane in range(lanes)}
        super().__init__(
            {**operands, "valid": In(1), "first": In(1), "last": In(1), "y": Out(FLOAT32.width), "done": Out(1)}
        )
        self.lanes = lanes
        self._steps = [MultiplyAdd(format, product, offset) for _ in range(lanes)]
        self._adder = IeeeAdder(FLOAT32)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        valid, first, last = (Signal(name=f"{name}_held") for name in ("valid", "first", "last"))
        m.d.sync += [valid.eq(self.valid), first.eq(self.first), last.eq(self.last)]
        groups = DOT_CHUNK // self.lanes
        chunk, total = Signal(FLOAT32.width, reset_less=True), Signal(FLOAT32.width, reset_less=True)
        group = Signal(range(groups), reset_less=True)
        starts, here = Signal(), Signal.like(group)
        m.d.comb += [here.eq(Mux(first, 0, group)), starts.eq(here == 0)]
        partial = Mux(starts, 0, chunk)
        for lane, step in enumerate(self._steps):
            m.submodules[f"lane_{lane}"] = step
            for name in "ab":
                held = Signal(len(step.a), name=f"{name}_{lane}_held", reset_less=True)
                m.d.sync += held.eq(getattr(self, f"{name}_{lane}"))
                m.d.comb += getattr(step, name).eq(held)
            m.d.comb += step.c.eq(partial)
            partial = step.y
        m.submodules.adder = adder = self._adder
        before = Mux(first, 0, total)
        m.d.comb += [adder.a.eq(before), adder.b.eq(partial)]
        ends = Signal()
        m.d.comb += ends.eq(last | (here == groups - 1))
        m.d.sync += self.done.eq(valid & last)
        with m.If(valid):
            m.d.sync += [
                chunk.eq(partial),
                group.eq(here + 1 if groups > 1 else 0),
                total.eq(Mux(ends, adder.y, before)),
            ]
        # A zero total is +0.
        m.d.comb += self.y.eq(Cat(total[:-1], total[-1] & total[FLOAT32.mantissa_bits : -1].any()))
        return m
