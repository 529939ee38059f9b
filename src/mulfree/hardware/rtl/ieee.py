"""Ordinary floating point for comparison: IEEE 754 product and sum, rounded half-even, denormals flushed.

The adder is the law's ``add`` (``docs/spec.md``, section 5). The multiplier flushes what is below the smallest normal
number after rounding.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed

from mulfree.hardware.rtl.circuits import Elementwise, Fields, choose, normalize, shift_right
from mulfree.hardware.rtl.products import choose_product, product_format
from mulfree.hardware.rtl.words import Format


def round_and_pack(m: Module, exponent: Value, significand: Value, format: Format) -> tuple[Signal, Signal, Signal]:
    """Round a normalized significand (leading one in the highest bit) half-even; exponent is signed and biased.

    Returns the magnitude and whether it is below the smallest normal number or above the largest. A carry runs from
    the mantissa into the exponent.
    """
    drop = len(significand) - format.mantissa_bits - 1
    kept = significand[drop:]
    up = C(0, 1)
    if drop > 0:
        half, rest = significand[drop - 1], significand[: drop - 1]
        up = half & (rest.any() | kept[0]) if drop > 1 else half & kept[0]
    elif drop < 0:
        kept = Cat(C(0, -drop), significand)
    total = Signal(signed(len(exponent) + format.mantissa_bits + 1))
    m.d.comb += total.eq(Cat(kept[: format.mantissa_bits], exponent).as_signed() + up)
    field = total[format.mantissa_bits :].as_signed()
    below, above = Signal(), Signal()
    m.d.comb += [below.eq(field <= 0), above.eq(field >= (1 << format.exponent_bits) - 1)]
    return total, below, above


class IeeeMultiplier(Elementwise):
    """The IEEE product of two numbers of ``format``, in ``result``'s format (``format`` if not given)."""

    def __init__(self, format: Format, result: Format | None = None) -> None:
        self.format, self.product = format, product_format(format, result)
        super().__init__({"a": format.width, "b": format.width}, self.product.width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format, product = self.format, self.product
        a, b = Fields(m, self.a, format, "a"), Fields(m, self.b, format, "b")
        full = Signal(2 * format.mantissa_bits + 2)
        m.d.comb += full.eq(a.significand * b.significand)
        large = full[-1]
        exponent = Signal(signed(product.exponent_bits + 2))
        m.d.comb += exponent.eq(a.exponent + b.exponent + large + (product.bias - 2 * format.bias))
        significand = Mux(large, full, full << 1)[: len(full)]
        total, below, above = round_and_pack(m, exponent, significand, product)
        m.d.comb += self.y.eq(choose_product(m, product, a, b, (total, below, above)))
        return m


class IeeeAdder(Elementwise):
    """``add(a, b)``: the IEEE sum; a zero sum of numbers that are not both zero is +0."""

    def __init__(self, format: Format) -> None:
        self.format = format
        super().__init__({"a": format.width, "b": format.width}, format.width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format = self.format
        a, b = Fields(m, self.a, format, "a"), Fields(m, self.b, format, "b")
        swap, opposite = Signal(), Signal()
        m.d.comb += [swap.eq(a.magnitude < b.magnitude), opposite.eq(a.sign ^ b.sign)]
        large, small = Signal(format.magnitude_bits), Signal(format.magnitude_bits)
        m.d.comb += [
            large.eq(Mux(swap, b.magnitude, a.magnitude)),
            small.eq(Mux(swap, a.magnitude, b.magnitude)),
        ]
        mantissa_bits = format.mantissa_bits
        large_exponent, small_exponent = large[mantissa_bits:], small[mantissa_bits:]
        # Three bits below the mantissa: guard, round, sticky. A zero operand has no leading one and no mantissa.
        upper = Cat(C(0, 3), large[:mantissa_bits], C(1, 1))
        lower = Cat(C(0, 2), small[:mantissa_bits], C(1, 1)) & small_exponent.any().replicate(mantissa_bits + 3)
        distance = Signal(format.exponent_bits)
        m.d.comb += distance.eq(large_exponent - small_exponent)
        aligned, lost = self._align(m, lower, distance)
        total = Signal(mantissa_bits + 5)
        addend = Cat(lost, aligned, C(0, 1)) ^ opposite.replicate(mantissa_bits + 5)
        m.d.comb += total.eq(upper + addend + opposite)
        normal, zeros = normalize(m, total, "sum")
        exponent = Signal(signed(format.exponent_bits + 2))
        m.d.comb += exponent.eq(large_exponent + 1 - zeros)
        magnitude, below, above = round_and_pack(m, exponent, normal, format)
        return self._select(m, a, b, (magnitude, below, above, ~normal[-1]), Mux(swap, b.sign, a.sign))

    def _align(self, m: Module, lower: Value, distance: Value) -> tuple[Value, Value]:
        used = len(lower).bit_length()
        far = distance[used:].any() if used < len(distance) else C(0, 1)
        aligned, lost = shift_right(m, lower, distance[:used], "align")
        return aligned & ~far.replicate(len(lower)), Mux(far, lower.any(), lost)

    def _select(
        self, m: Module, a: Fields, b: Fields, rounded: tuple[Value, Value, Value, Value], sign: Value
    ) -> Module:
        magnitude, below, above, nothing = rounded
        nan, infinite, zero, negative = (Signal(name=name) for name in ("nan", "infinite", "zero", "negative"))
        operand_infinite = a.infinite | b.infinite
        both = a.zero & b.zero
        m.d.comb += [
            nan.eq(a.nan | b.nan | a.infinite & b.infinite & (a.sign ^ b.sign)),
            infinite.eq(operand_infinite | above & ~nothing & ~both),
            zero.eq(nothing | below | both),
            negative.eq(Mux(both, a.sign & b.sign, sign & (operand_infinite | ~nothing))),
        ]
        word = choose(m, self.format, sign=negative, magnitude=magnitude, nan=nan, infinite=infinite, zero=zero)
        m.d.comb += self.y.eq(word)
        return m
