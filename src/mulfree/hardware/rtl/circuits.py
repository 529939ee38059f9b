"""Pieces that several units share: fields of a word, the choice of special results, shifts that remember, counts."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mulfree.hardware.rtl.words import Format


class Elementwise(wiring.Component):
    """A combinational unit: operands ``a`` (and ``b``, ``c``) in, the result ``y`` out."""

    def __init__(self, operands: dict[str, int], result: int) -> None:
        super().__init__({**{name: In(width) for name, width in operands.items()}, "y": Out(result)})
        self.operands = operands
        self.result = result


class Fields:
    """The parts of a word of a format. Denormals are ``zero``."""

    def __init__(self, m: Module, word: Value, format: Format, name: str) -> None:
        mantissa_bits, magnitude_bits = format.mantissa_bits, format.magnitude_bits
        self.magnitude = word[:magnitude_bits]
        self.sign = word[magnitude_bits]
        self.exponent = word[mantissa_bits:magnitude_bits]
        self.mantissa = word[:mantissa_bits]
        self.zero = Signal(name=f"{name}_zero")
        self.nan = Signal(name=f"{name}_nan")
        self.infinite = Signal(name=f"{name}_infinite")
        top, fraction = Signal(name=f"{name}_top"), Signal(name=f"{name}_fraction")
        m.d.comb += [
            self.zero.eq(~self.exponent.any()),
            top.eq(self.exponent.all()),
            fraction.eq(self.mantissa.any()),
            self.nan.eq(top & fraction),
            self.infinite.eq(top & ~fraction),
        ]

    @property
    def significand(self) -> Value:
        """The mantissa with its leading one."""
        return Cat(self.mantissa, C(1, 1))


def choose(m: Module, format: Format, *, sign: Any, magnitude: Value, nan: Any, infinite: Any, zero: Any) -> Value:
    """The result: NaN before infinity before zero before the word ``magnitude``; a NaN has no sign.

    Gates, not a chain of multiplexers: the exponent is cleared or set, the mantissa cleared.
    """
    is_nan, top, empty, keep = (Signal(name=f"result_{name}") for name in ("nan", "top", "zero", "mantissa"))
    m.d.comb += [is_nan.eq(nan), top.eq(is_nan | infinite), empty.eq(zero), keep.eq(~(top | empty))]
    width = format.mantissa_bits
    word = Signal(format.width, name="result")
    m.d.comb += word.eq(
        Cat(
            magnitude[:width] & keep.replicate(width) | Cat(C(0, width - 1), is_nan),
            magnitude[width : format.magnitude_bits] & ~empty.replicate(format.exponent_bits)
            | top.replicate(format.exponent_bits),
            sign & ~is_nan,
        )
    )
    return word


def out_of_range(total: Value, format: Format) -> tuple[Value, Value]:
    """Whether a signed wide sum is below the smallest normal number, and whether it is at or above infinity.

    ``total`` has ``magnitude_bits + 2`` bits, its sign the highest.
    """
    exponent = total[format.mantissa_bits : format.magnitude_bits]
    negative, carry = total[format.magnitude_bits + 1], total[format.magnitude_bits]
    return negative | ~carry & ~exponent.any(), ~negative & (carry | exponent.all())


def shift_right(m: Module, number: Value, amount: Value, name: str) -> tuple[Signal, Signal]:
    """``number >> amount``, and whether a one was shifted out."""
    width = len(number)
    stage, lost = number, C(0, 1)
    for index, bit in enumerate(amount):
        step = min(1 << index, width)
        shifted, dropped = Signal(width, name=f"{name}_{index}"), Signal(name=f"{name}_lost_{index}")
        m.d.comb += [
            shifted.eq(Mux(bit, stage[step:], stage)),
            dropped.eq(lost | bit & stage[:step].any()),
        ]
        stage, lost = shifted, dropped
    return stage, lost


def normalize(m: Module, number: Value, name: str) -> tuple[Value, Value]:
    """``number`` shifted left until its highest bit is a one, and by how much; both arbitrary for zero."""
    width = len(number)
    stage, counts = number, []
    for index in reversed(range((width - 1).bit_length())):
        step = 1 << index
        empty, shifted = Signal(name=f"{name}_empty_{index}"), Signal(width, name=f"{name}_{index}")
        m.d.comb += [
            empty.eq(~stage[-step:].any()),
            shifted.eq(Mux(empty, stage << step, stage)),
        ]
        counts.append(empty)
        stage = shifted
    return stage, Cat(*reversed(counts))
