"""PAM and PAD: products and quotients as sums of words (``docs/spec.md``, section 2)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Signal, Value, signed

from mulfree.hardware.rtl.circuits import Elementwise, Fields, choose, out_of_range
from mulfree.hardware.rtl.words import Format


def product_format(format: Format, result: Format | None) -> Format:
    """The format of a product of two numbers of ``format``, at least as large in both fields."""
    result = result or format
    if result.exponent_bits < format.exponent_bits or result.mantissa_bits < format.mantissa_bits:
        raise ValueError(f"a product of {format} does not fit into {result}")
    return result


def choose_product(m: Module, format: Format, a: Fields, b: Fields, finite: tuple[Value, Value, Value]) -> Value:
    """A product, special operands included. ``finite``: the magnitude, and whether it is below or above the numbers."""
    total, below, above = finite
    nan, infinite, zero, empty = (Signal(name=name) for name in ("nan", "infinite", "zero", "empty"))
    m.d.comb += [
        nan.eq(a.nan | b.nan | a.zero & b.infinite | a.infinite & b.zero),
        empty.eq(a.zero | b.zero),
        infinite.eq(a.infinite | b.infinite | above & ~empty),
        zero.eq(empty | below),
    ]
    return choose(m, format, sign=a.sign ^ b.sign, magnitude=total, nan=nan, infinite=infinite, zero=zero)


class Pam(Elementwise):
    """``mul(a, b)``: ``mag(a) + mag(b) - ONE + c``, clamped.

    ``offset`` is the compensation ``c`` (``Format.offset``). With a ``result`` the product has that format's exponent
    and range, and zeros below its mantissa: what the law's product of the widened operands is.
    """

    def __init__(self, format: Format, offset: int = 0, result: Format | None = None) -> None:
        self.format, self.offset, self.product = format, offset, product_format(format, result)
        super().__init__({"a": format.width, "b": format.width}, self.product.width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format = self.format
        a, b = Fields(m, self.a, format, "a"), Fields(m, self.b, format, "b")
        short = Format(self.product.exponent_bits, format.mantissa_bits)  # the product without the zeros below
        total = Signal(signed(short.magnitude_bits + 2))
        bias = 2 * format.bias - short.bias << format.mantissa_bits
        m.d.comb += total.eq(a.magnitude + b.magnitude + (self.offset - bias))
        below, above = out_of_range(total, short)
        word = choose_product(m, short, a, b, (total, below, above))
        m.d.comb += self.y.eq(Cat(C(0, self.product.mantissa_bits - format.mantissa_bits), word))
        return m


class Pad(Elementwise):
    """``div(a, b)``: ``mag(a) - mag(b) + ONE``, clamped."""

    def __init__(self, format: Format) -> None:
        self.format = format
        super().__init__({"a": format.width, "b": format.width}, format.width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format = self.format
        a, b = Fields(m, self.a, format, "a"), Fields(m, self.b, format, "b")
        total = Signal(signed(format.magnitude_bits + 2))
        m.d.comb += total.eq(a.magnitude - b.magnitude + format.one)
        below, above = out_of_range(total, format)
        nan, infinite, zero, empty = (Signal(name=name) for name in ("nan", "infinite", "zero", "empty"))
        m.d.comb += [
            nan.eq(a.nan | b.nan | a.zero & b.zero | a.infinite & b.infinite),
            empty.eq(a.zero | b.infinite),
            infinite.eq(a.infinite | b.zero | above & ~empty),
            zero.eq(empty | below),
        ]
        word = choose(m, format, sign=a.sign ^ b.sign, magnitude=total, nan=nan, infinite=infinite, zero=zero)
        m.d.comb += self.y.eq(word)
        return m
