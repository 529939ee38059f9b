"""Golden vectors: operands and the law's results, for people with their own circuits. Needs no Amaranth.

Results are those of ``numerics/scalar.py``. In a narrower format operands are widened exactly, and the result is
rounded once, half-even, to the format; its denormals are zero. That is the law in the format's own width, as the units
compute it (``docs/rtl.md``).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from typing import Literal, get_args

from mulfree.hardware.rtl.words import FLOAT32, Format
from mulfree.numerics import scalar
from mulfree.numerics.formats import MANTISSA_BITS

Operation = Literal["mul", "div", "exp2", "log2", "add"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
Vector = tuple[int, ...]
"""The words of the operands and of the result."""
MOST_MANTISSA_BITS = 10
"""Of a narrow format: with more, a sum rounded first to binary32 and then to the format is not that rounded once."""


@dataclass(frozen=True)
class Vectors:
    """Vectors of one operation: all pairs of special words first, random ones after them."""

    operation: Operation
    format: Format
    alpha: float
    seed: int
    vectors: list[Vector]

    @property
    def names(self) -> list[str]:
        return ["a", "b", "y"] if len(self.vectors[0]) == 3 else ["a", "y"]

    def json(self) -> str:
        """One object; ``vectors`` has lists of hexadecimal words in the order of ``words``."""
        head: dict[str, object] = {
            "mulfree": version("mulfree"),
            "operation": self.operation,
            "format": str(self.format),
            "exponent_bits": self.format.exponent_bits,
            "mantissa_bits": self.format.mantissa_bits,
            "alpha": self.alpha,
            "seed": self.seed,
            "count": len(self.vectors),
            "words": self.names,
        }
        lines = ",\n".join(json.dumps(self._hexadecimal(vector)) for vector in self.vectors)
        fields = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
        return f'{{\n{fields},\n"vectors": [\n{lines}\n]}}\n'

    def hex(self) -> str:
        """A vector a line for ``$readmemh``: the words from the left, joined by underscores, after comments."""
        factor = f", compensation by {self.alpha}" if self.alpha != 1 else ""
        bits = self._digits * 4
        head = [
            f"// {self.operation} in {self.format}{factor}: {len(self.vectors)} vectors, seed {self.seed}, "
            f"by mulfree {version('mulfree')}.",
            f"// Words {', '.join(self.names)} from the left, each {self.format.width} bits in {bits}: "
            f"reg [{bits * len(self.names) - 1}:0].",
        ]
        return "\n".join([*head, *("_".join(self._hexadecimal(vector)) for vector in self.vectors), ""])

    @property
    def _digits(self) -> int:
        return -(-self.format.width // 4)

    def _hexadecimal(self, vector: Vector) -> list[str]:
        return [f"{word:0{self._digits}x}" for word in vector]


def golden_vectors(
    operation: Operation, format: Format = FLOAT32, count: int = 100_000, *, alpha: float = 1.0, seed: int = 0
) -> Vectors:
    """``count`` vectors of an operation of the law: as many pairs of special words as fit, then random words.

    Args:
        alpha: Compensation of ``mul``, rounded to the format; 1 is none.
        seed: Of the random words; the same seed gives the same vectors.

    Raises:
        ValueError: An unknown operation, a compensation of something else than ``mul`` or out of range, or a format
            that is neither float32 nor within its exponents and 10 mantissa bits.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}, got {operation!r}")
    if count < 1:
        raise ValueError(f"expected at least one vector, got {count}")
    if alpha != 1 and operation != "mul":
        raise ValueError(f"compensation goes with mul only, got {operation}")
    compute = evaluator(operation, format, alpha)
    arity = 1 if operation in ("exp2", "log2") else 2
    operands = _operands(format, arity, random.Random(seed))
    vectors = [(*words, compute(*words)) for _, words in zip(range(count), operands, strict=False)]
    return Vectors(operation, format, alpha, seed, vectors)


def evaluator(operation: Operation, format: Format, alpha: float = 1.0) -> Callable[..., int]:
    """The operation of the law on words of the format."""
    if format != FLOAT32 and (not format.within_float32 or format.mantissa_bits > MOST_MANTISSA_BITS):
        raise ValueError(f"vectors are of float32 or of at most 8 exponent and 10 mantissa bits, got {format}")
    offset = format.offset(alpha) << (MANTISSA_BITS - format.mantissa_bits)
    law: Callable[..., int] = getattr(scalar, operation)

    def compute(*words: int) -> int:
        wide = [format.widened(word) for word in words]
        return format.narrowed(law(*wide, offset) if operation == "mul" else law(*wide))

    return compute


def special_words(format: Format) -> list[int]:
    """Zeros, denormals, limits of the range, infinities, NaNs, and words next to them and to one, of both signs."""
    one, step, inf = format.one, format.step, format.inf
    magnitudes = [
        0, one, inf, format.nan, step, inf - 1, 1, step - 1, step + 1, inf + 1, format.sign - 1, inf - step,
        one - 1, one + 1, one + step // 2, one + step, one - step, one + step - 1, 2 * step, one // 2, inf - one // 2,
    ]  # fmt: skip
    return [sign | magnitude for magnitude in dict.fromkeys(magnitudes) for sign in (0, format.sign)]


def _operands(format: Format, arity: int, random_numbers: random.Random) -> Iterator[Vector]:
    yield from product(special_words(format), repeat=arity)
    while True:
        yield _any(format, arity, random_numbers)
        yield _near(format, arity, random_numbers, format.one, format.mantissa_bits + 3)
        yield _any(format, arity, random_numbers)
        yield _near(format, arity, random_numbers, random_numbers.randrange(format.inf), 2)


def _any(format: Format, arity: int, random_numbers: random.Random) -> Vector:
    return tuple(random_numbers.getrandbits(format.width) for _ in range(arity))


def _near(format: Format, arity: int, random_numbers: random.Random, centre: int, exponents: int) -> Vector:
    """Words of both signs within some exponents of a magnitude: sums that cancel, results in range."""
    low, high = max(centre - exponents * format.step, 0), min(centre + exponents * format.step, format.inf - 1)
    return tuple(
        random_numbers.getrandbits(1) << format.magnitude_bits | random_numbers.randint(low, high) for _ in range(arity)
    )
