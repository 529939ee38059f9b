"""Multiply-accumulate: a narrow product, added to a float32 sum."""

from __future__ import annotations

from typing import Any, Literal

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mulfree.hardware.rtl.circuits import Elementwise
from mulfree.hardware.rtl.ieee import IeeeAdder, IeeeMultiplier
from mulfree.hardware.rtl.products import Pam
from mulfree.hardware.rtl.words import FLOAT32, Format

Product = Literal["pam", "ieee"]


def multiplier(product: Product, format: Format, offset: int = 0) -> Elementwise:
    """A product of two numbers of ``format`` in float32."""
    if product == "pam":
        return Pam(format, offset, FLOAT32)
    if offset:
        raise ValueError("compensation goes with products of PAM only")
    return IeeeMultiplier(format, FLOAT32)


class MultiplyAdd(Elementwise):
    """``y = add(c, a * b)``, combinational: operands a and b of ``format``, c and y in float32.

    The product is rounded to float32 before it is added: PAM is exact, an IEEE product of up to 11 mantissa bits too.
    """

    def __init__(self, format: Format, product: Product = "pam", offset: int = 0) -> None:
        self.multiplier, self.adder = multiplier(product, format, offset), IeeeAdder(FLOAT32)
        super().__init__({"a": format.width, "b": format.width, "c": FLOAT32.width}, FLOAT32.width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.multiplier, m.submodules.adder = product, adder = self.multiplier, self.adder
        m.d.comb += [
            product.a.eq(self.a),
            product.b.eq(self.b),
            adder.a.eq(self.c),
            adder.b.eq(product.y),
            self.y.eq(adder.y),
        ]
        return m


class MultiplyAccumulate(wiring.Component):
    """A float32 sum that takes one product a cycle; the order of the products is the user's.

    Operands are registered with ``clear`` and ``enable``. One cycle later the product is added to ``sum``, or to +0
    where ``clear`` was set; without ``enable`` the sum stays. So the law's chunk is: clear with the first product, 256
    products in ascending order.
    """

    def __init__(self, format: Format, product: Product = "pam", offset: int = 0) -> None:
        super().__init__(
            {"a": In(format.width), "b": In(format.width), "clear": In(1), "enable": In(1), "sum": Out(FLOAT32.width)}
        )
        self._step = MultiplyAdd(format, product, offset)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.step = step = self._step
        clear, enable = Signal(name="clear_held", reset_less=True), Signal(name="enable_held")
        a, b = (Signal(len(self.a), name=f"{name}_held", reset_less=True) for name in "ab")
        total = Signal(FLOAT32.width, reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), clear.eq(self.clear), enable.eq(self.enable)]
        m.d.comb += [
            step.a.eq(a),
            step.b.eq(b),
            step.c.eq(Mux(clear, 0, total)),
            self.sum.eq(total),
        ]
        with m.If(enable):
            m.d.sync += total.eq(step.y)
        return m
