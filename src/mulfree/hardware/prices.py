"""The one place of the prices of operations: Table 4 of the paper, and what Appendix B makes of it.

Table 4 takes its figures from two sources, both of a 45 nm process at about 0.9 V:

- [12] M. Horowitz, "1.1 Computing's energy problem (and what we can do about it)", ISSCC 2014, pages 10-14.
- [10] A. Gholami, S. Kim, Z. Dong, Z. Yao, M. W. Mahoney, K. Keutzer, "A survey of quantization methods for efficient
  neural network inference", arXiv:2103.13630, 2021.

The energies of accesses to memory are not in Table 4; they are those of [12].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args


@dataclass(frozen=True, slots=True)
class Price:
    """What one scalar operation costs.

    Attributes:
        energy: in pJ for each operation.
        area: in µm² of a circuit that does it.
    """

    energy: float
    area: float

    def __add__(self, other: Price) -> Price:
        return Price(self.energy + other.energy, self.area + other.area)


Number = Literal["int32", "int16", "int8", "float32", "float16"]

ADDITION: Final[Mapping[Number, Price]] = {
    "int32": Price(0.1, 137),
    "int16": Price(0.05, 67),
    "int8": Price(0.03, 36),
    "float32": Price(0.9, 4184),
    "float16": Price(0.4, 1360),
}
"""Table 4."""

MULTIPLICATION: Final[Mapping[Number, Price]] = {
    "int32": Price(3.1, 3495),
    "int8": Price(0.2, 282),
    "float32": Price(3.7, 7700),
    "float16": Price(1.1, 1640),
}
"""Table 4, which has no multiplication of int16."""

PIECEWISE: Final = ADDITION["int32"] + ADDITION["int32"]
"""A piecewise affine operation: two int32 additions.

For products (PAM) this is the assumption of Appendix B, made for any format of the operands: an int32 addition, and an
int8 addition for the exponent that also looks for under- and overflow. That quotients (PAD), powers of two and
logarithms to base two cost the same is ours: a quotient is a subtraction in place of the addition, the others are an
integer addition and a shift or rounding.
"""


@dataclass(frozen=True, slots=True)
class Energies:
    """Energies of piecewise affine operations in pJ, by default those of ``PIECEWISE``."""

    products: float = PIECEWISE.energy
    quotients: float = PIECEWISE.energy
    powers: float = PIECEWISE.energy
    logarithms: float = PIECEWISE.energy


ACCUMULATION: Final = ADDITION["float32"]
"""A float addition in any format: Appendix B accumulates in float32."""

Format = Literal["float32", "float16"]
"""Of the operands of multiplications. "float16" stands for bfloat16 too, which Table 4 does not have."""

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
LABELS: Final[Mapping[Format, str]] = {"float32": "float32", "float16": "float16, bfloat16"}
BYTES: Final[Mapping[Format, int]] = {"float32": 4, "float16": 2}
"""Bytes of a number."""

Memory = Literal["none", "8kB", "32kB", "1MB", "dram"]
"""Where operands and results are: nowhere (free), in a cache of that size, or in DRAM."""

DRAM: Final = (1300.0, 2600.0)
"""Least and greatest energy of a 64-bit access to DRAM in pJ, from [12]."""

MEMORIES: Final[Mapping[Memory, float]] = {
    "none": 0.0,
    "8kB": 10.0,
    "32kB": 20.0,
    "1MB": 100.0,
    "dram": sum(DRAM) / 2,
}
"""Energy of a 64-bit access in pJ, from [12]; for DRAM the middle of its range."""

ACCESS_BYTES: Final = 8
"""Bytes of the access that ``MEMORIES`` prices."""
