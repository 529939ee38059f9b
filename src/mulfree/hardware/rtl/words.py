"""Number formats of the hardware units: sign, exponent and mantissa of any width (no Amaranth needed)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from mulfree.numerics.formats import EXPONENT_BIAS, MANTISSA_BITS
from mulfree.numerics.scalar import round_half_even

EXPONENT_BITS_LIMITS = (3, 11)
MANTISSA_BITS_LIMITS = (1, 52)


@dataclass(frozen=True)
class Format:
    """A binary format with IEEE 754's conventions for infinities and NaN; denormals count as zero.

    The words are those of ``docs/spec.md``, section 1, for this format: ``ONE``, ``MIN``, ``INF``, ``NAN``.
    Exponents have 3 to 11 bits, mantissas 1 to 52.
    """

    exponent_bits: int
    mantissa_bits: int

    def __post_init__(self) -> None:
        for name, limits in (("exponent", EXPONENT_BITS_LIMITS), ("mantissa", MANTISSA_BITS_LIMITS)):
            bits = getattr(self, f"{name}_bits")
            if not limits[0] <= bits <= limits[1]:
                raise ValueError(f"a format has {limits[0]} to {limits[1]} {name} bits, got {bits}")

    @classmethod
    def named(cls, name: str) -> Format:
        """``float32``, ``bfloat16``, ``float16``, or ``E8M4`` for any numbers of bits."""
        if name in NAMED:
            return NAMED[name]
        if found := re.fullmatch(r"[Ee](\d+)[Mm](\d+)", name):
            return cls(int(found[1]), int(found[2]))
        raise ValueError(f"format must be {', '.join(NAMED)} or like E8M4, got {name!r}")

    def __str__(self) -> str:
        names = (name for name, format in NAMED.items() if format == self)
        return next(names, f"E{self.exponent_bits}M{self.mantissa_bits}")

    @property
    def width(self) -> int:
        return 1 + self.magnitude_bits

    @property
    def magnitude_bits(self) -> int:
        return self.exponent_bits + self.mantissa_bits

    @property
    def bias(self) -> int:
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def step(self) -> int:
        """One unit of the exponent field, and the smallest normal number."""
        return 1 << self.mantissa_bits

    @property
    def one(self) -> int:
        return self.bias << self.mantissa_bits

    @property
    def inf(self) -> int:
        return ((1 << self.exponent_bits) - 1) << self.mantissa_bits

    @property
    def nan(self) -> int:
        return self.inf | self.step >> 1

    @property
    def sign(self) -> int:
        return 1 << self.magnitude_bits

    def word(self, number: float | Fraction) -> int:
        """The word of a finite, positive number, rounded half-even; below the smallest normal is zero."""
        exact = Fraction(number)
        if exact <= 0:
            raise ValueError(f"expected a positive number, got {number}")
        exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
        if exact < Fraction(2) ** exponent:
            exponent -= 1
        significand = round(exact / Fraction(2) ** (exponent - self.mantissa_bits))  # half-even
        total = ((exponent + self.bias - 1) << self.mantissa_bits) + significand
        return 0 if total < self.step else min(total, self.inf)

    def offset(self, alpha: float) -> int:
        """What compensation by ``alpha`` adds to a product: ``bits(alpha) - ONE`` in this format."""
        word = self.word(alpha) if alpha > 0 else 0
        if not self.step <= word < self.inf:
            raise ValueError(f"compensation must be positive, finite and normal in {self}, got {alpha}")
        return word - self.one

    def widened(self, word: int) -> int:
        """The same number in binary32. Denormals are zero. Formats within binary32 only."""
        sign, magnitude = word >> self.magnitude_bits << 31, word & (self.sign - 1)
        shift = MANTISSA_BITS - self.mantissa_bits
        if magnitude < self.step:
            return sign
        if magnitude >= self.inf:
            return sign | 0xFF << MANTISSA_BITS | (magnitude - self.inf) << shift
        return sign | (magnitude << shift) + ((EXPONENT_BIAS - self.bias) << MANTISSA_BITS)

    def narrowed(self, word: int) -> int:
        """A binary32 word rounded half-even to this format: too small is zero, too large infinity, one NaN."""
        sign, magnitude = word >> 31 << self.magnitude_bits, word & 0x7FFFFFFF
        if magnitude > FLOAT32.inf:
            return self.nan
        if magnitude == FLOAT32.inf:
            return sign | self.inf
        moved = magnitude - ((EXPONENT_BIAS - self.bias) << MANTISSA_BITS)
        total = round_half_even(moved, MANTISSA_BITS - self.mantissa_bits) if moved > 0 else 0
        return sign | (0 if total < self.step else min(total, self.inf))

    @property
    def within_float32(self) -> bool:
        """Whether every number is one of binary32, too."""
        return self.exponent_bits <= FLOAT32.exponent_bits and self.mantissa_bits <= MANTISSA_BITS


FLOAT32 = Format(8, 23)
BFLOAT16 = Format(8, 7)
FLOAT16 = Format(5, 10)
NAMED = {"float32": FLOAT32, "bfloat16": BFLOAT16, "float16": FLOAT16}
