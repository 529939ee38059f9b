"""Random words that any backend reproduces, and dropout by them (``docs/spec.md``, section 8), in pure integers.

The generator is Threefry-2x32 (Salmon, Moraes, Dror & Shaw, *Parallel Random Numbers: As Easy as 1, 2, 3*,
SC 2011): a keyed function of a counter made of additions, rotations and xors. So nothing is stored, every element
can be computed by itself, and the backward pass finds the mask of the forward pass again.
"""

from __future__ import annotations

from mulfree.numerics import scalar
from mulfree.numerics.formats import (
    RANDOM_LANES,
    THREEFRY_INJECTION,
    THREEFRY_PARITY,
    THREEFRY_ROTATIONS,
    THREEFRY_ROUNDS,
)

_WORD = 0xFFFFFFFF


def threefry(key: tuple[int, int], counter: tuple[int, int], rounds: int = THREEFRY_ROUNDS) -> tuple[int, int]:
    """Threefry-2x32: two random words from two words of key and two of counter."""
    keys = (*key, THREEFRY_PARITY ^ key[0] ^ key[1])
    a, b = (counter[0] + key[0]) & _WORD, (counter[1] + key[1]) & _WORD
    for number in range(rounds):
        a = (a + b) & _WORD
        b = _rotated(b, THREEFRY_ROTATIONS[number % len(THREEFRY_ROTATIONS)]) ^ a
        injection, rest = divmod(number + 1, THREEFRY_INJECTION)
        if rest == 0:
            a = (a + keys[injection % 3]) & _WORD
            b = (b + keys[(injection + 1) % 3] + injection) & _WORD
    return a, b


def _rotated(word: int, count: int) -> int:
    """``word`` rotated left."""
    return (word << count | word >> (32 - count)) & _WORD


def random_word(seed: int, index: int) -> int:
    """Random word of element ``index`` of a tensor, counted in row-major order, for a 64-bit ``seed``.

    Each block of two words serves two elements ``RANDOM_LANES`` apart.
    """
    group, place = divmod(index, 2 * RANDOM_LANES)
    which, lane = divmod(place, RANDOM_LANES)
    block = group * RANDOM_LANES + lane
    return threefry((seed & _WORD, seed >> 32 & _WORD), (block & _WORD, block >> 32))[which]


def dropout(x: int, seed: int, index: int, threshold: int, scale: int) -> int:
    """``mul(x, scale)``, or +0 whatever ``x`` is where the element's random word is below ``threshold``."""
    return 0 if random_word(seed, index) < threshold else scalar.mul(x, scale)


def dropout_threshold(p: float) -> int:
    """p, in [0, 1), in units of 2**-32, rounded down."""
    numerator, denominator = p.as_integer_ratio()
    return (numerator << 32) // denominator
