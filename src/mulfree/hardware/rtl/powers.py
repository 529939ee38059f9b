"""Powers and logarithms of two as shifts of fixed-point numbers (``docs/spec.md``, section 3)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed

from mulfree.hardware.rtl.circuits import Elementwise, Fields, choose, normalize, out_of_range, shift_right
from mulfree.hardware.rtl.ieee import round_and_pack
from mulfree.hardware.rtl.words import Format


class Exp2(Elementwise):
    """``exp2(a)``: ``round_half_even(a * 2^M) + ONE``, clamped, with M mantissa bits."""

    def __init__(self, format: Format) -> None:
        self.format = format
        super().__init__({"a": format.width}, format.width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format = self.format
        a = Fields(m, self.a, format, "a")
        # From 2^most on, every exponent is out of range. Below, the number is a right shift of its largest place.
        most = format.exponent_bits - 1
        width = format.mantissa_bits + most + 1  # whole steps of 2^-M, and one bit below
        far, near_zero = Signal(), Signal()
        m.d.comb += [
            far.eq(a.exponent >= format.bias + most),
            near_zero.eq(a.exponent < max(format.bias - format.mantissa_bits - 1, 1)),
        ]
        amount = Signal(range(width + 1))
        m.d.comb += amount.eq(format.bias + most - 1 - a.exponent)
        places = Cat(C(0, most), a.significand)
        shifted, lost = shift_right(m, places, amount, "fixed")
        whole, up = shifted[1:], shifted[0] & (lost | shifted[1])
        # ONE +- (whole + up): a negative number is the complement plus one, less what is rounded up.
        total = Signal(signed(format.magnitude_bits + 2))
        keep = ~near_zero
        signed_whole = Cat(whole & keep.replicate(width - 1), C(0, 2)) ^ a.sign.replicate(width + 1)
        m.d.comb += total.eq(signed_whole.as_signed() + format.one + Mux(a.sign, ~(up & keep), up & keep))
        below, _ = out_of_range(total, format)
        infinite, zero = Signal(), Signal()
        m.d.comb += [infinite.eq(far & ~a.sign), zero.eq(below | far & a.sign)]
        m.d.comb += self.y.eq(choose(m, format, sign=C(0, 1), magnitude=total, nan=a.nan, infinite=infinite, zero=zero))
        return m


class Log2(Elementwise):
    """``log2(a)``: ``bits(a) - ONE`` read with M fraction bits, rounded half-even to the format."""

    def __init__(self, format: Format) -> None:
        self.format = format
        super().__init__({"a": format.width}, format.width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format = self.format
        a = Fields(m, self.a, format, "a")
        # At most 2^(E-1) on either side, which only infinity reaches.
        width = format.magnitude_bits - 1
        negative = a.exponent < format.bias
        difference = Signal(signed(format.magnitude_bits + 1))
        fixed = Signal(width)
        m.d.comb += [
            difference.eq(a.magnitude - format.one),
            fixed.eq(Mux(negative, -difference, difference)),
        ]
        normal, zeros = normalize(m, fixed, "log")
        exponent = Signal(signed(format.exponent_bits + 2))
        m.d.comb += exponent.eq(format.bias + format.exponent_bits - 2 - zeros)
        total, below, _ = round_and_pack(m, exponent, normal, format)
        nan, infinite, zero = (Signal(name=name) for name in ("nan", "infinite", "zero"))
        m.d.comb += [
            nan.eq(a.nan | a.sign & ~a.zero),
            infinite.eq(a.zero | a.infinite),
            zero.eq(~normal[-1] | below),
        ]
        sign = (negative & normal[-1]) | a.zero
        m.d.comb += self.y.eq(choose(m, format, sign=sign, magnitude=total, nan=nan, infinite=infinite, zero=zero))
        return m
