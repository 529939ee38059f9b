"""Bit constants of IEEE 754 binary32 and the fixed lengths of the accumulation orders.

This module is the only home of these numbers in the Python code; ``csrc/law/law.hpp``
repeats them once for the kernels and a test compares the two.
"""

from __future__ import annotations

from typing import Final

SIGN: Final = 0x80000000
"""The sign bit."""
MAGNITUDE: Final = 0x7FFFFFFF
"""Every bit but the sign."""
MANTISSA: Final = 0x007FFFFF
"""The 23 mantissa bits."""
MANTISSA_BITS: Final = 23
STEP: Final = 1 << MANTISSA_BITS
"""One unit of the exponent field: adding it multiplies a normal number by two."""
EXPONENT_BIAS: Final = 127
ONE: Final = 0x3F800000
"""Bits of 1.0, the exponent bias in place."""
MIN: Final = 0x00800000
"""Bits of 2**-126, the smallest normal number."""
MAX: Final = 0x7F7FFFFF
"""Bits of the largest finite number."""
INF: Final = 0x7F800000
NAN: Final = 0x7FC00000
"""The canonical NaN, the only one an operation returns."""

LOG2E: Final = 0x3FB8AA3B
"""float32(log2(e)), eqs. 18 and 19."""
LN2: Final = 0x3F317218
"""float32(ln(2)), Table 1."""
TWO: Final = 0x40000000
SIGMOID_MOST: Final = 0x42FE0000
"""127: larger exponents inside the logistic function count as this one, without changing its result."""
GELU_CUBIC: Final = 0x3D372713
"""float32(0.044715), the cubic coefficient of the tanh form of GELU."""
GELU_SCALE: Final = 0x3FCC422A
"""float32(2 sqrt(2/pi)), the outer coefficient of GELU's sigmoid form."""

DOT_CHUNK: Final = 256
"""Products of a dot product that share one accumulator."""
SUM_CHUNK: Final = 1024
"""Terms of a sum that share one set of lanes."""
SUM_LANES: Final = 32
"""Lanes of a sum: term j goes to lane j mod 32."""

THREEFRY_PARITY: Final = 0x1BD11BDA
"""Xor of the key words and the third one (Threefry, section 4.1 of Salmon et al.)."""
THREEFRY_ROTATIONS: Final = (13, 15, 26, 6, 17, 29, 16, 24)
THREEFRY_INJECTION: Final = 4
"""Rounds between additions of the key."""
THREEFRY_ROUNDS: Final = 20
RANDOM_LANES: Final = 16
"""Elements that take the first words of neighbouring blocks before as many take the second words."""
