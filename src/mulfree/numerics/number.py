"""Numbers of the host whose operators are those of the law."""

from __future__ import annotations

from mulfree.numerics import rows, scalar
from mulfree.numerics.formats import MAGNITUDE


class PA:
    """A binary32 number with PA operators, for the few scalars that a step computes outside of tensors.

    ``+`` and ``-`` round as IEEE 754 does, ``*`` is PAM, ``/`` is PAD, ``**`` takes a whole number (repeated ``*``,
    its order does not matter in range) or another number (``exp2(log2(x) * p)``). The other operand may be a
    Python number, which is rounded to binary32 first. Values do not change.

    Example:
        >>> float(PA(3) * 1.5)
        4.0
    """

    __slots__ = ("word",)
    word: int
    """Its bits."""

    def __init__(self, number: PA | float) -> None:
        word = number.word if isinstance(number, PA) else scalar.bits(number)
        object.__setattr__(self, "word", word)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"PA numbers do not change; cannot set {name!r}")

    @classmethod
    def of_word(cls, word: int) -> PA:
        """The number with these bits."""
        number = cls.__new__(cls)
        object.__setattr__(number, "word", word)
        return number

    def __float__(self) -> float:
        return scalar.value(self.word)

    def __add__(self, other: PA | float) -> PA:
        return PA.of_word(scalar.add(self.word, PA(other).word))

    def __sub__(self, other: PA | float) -> PA:
        return self + -PA(other)

    def __mul__(self, other: PA | float) -> PA:
        return PA.of_word(scalar.mul(self.word, PA(other).word))

    def __truediv__(self, other: PA | float) -> PA:
        return PA.of_word(scalar.div(self.word, PA(other).word))

    def __radd__(self, other: float) -> PA:
        return PA(other) + self

    def __rsub__(self, other: float) -> PA:
        return PA(other) - self

    def __rmul__(self, other: float) -> PA:
        return PA(other) * self

    def __rtruediv__(self, other: float) -> PA:
        return PA(other) / self

    def __pow__(self, exponent: float) -> PA:
        if float(exponent).is_integer():
            whole = PA.of_word(scalar.power(self.word, abs(int(exponent))))
            return whole if exponent >= 0 else 1 / whole
        return PA.of_word(scalar.exp2(scalar.mul(scalar.log2(self.word), scalar.bits(exponent))))

    def __neg__(self) -> PA:
        return PA.of_word(scalar.negate(self.word))

    def sqrt(self) -> PA:
        """PA square root, eq. 20."""
        return PA.of_word(rows.sqrt(self.word))

    def __eq__(self, other: object) -> bool:
        return float(self) == float(other) if isinstance(other, PA | float | int) else NotImplemented

    def __lt__(self, other: PA | float) -> bool:
        return float(self) < float(other)

    def __le__(self, other: PA | float) -> bool:
        return float(self) <= float(other)

    def __gt__(self, other: PA | float) -> bool:
        return float(self) > float(other)

    def __ge__(self, other: PA | float) -> bool:
        return float(self) >= float(other)

    def __hash__(self) -> int:
        return hash(float(self))

    def __abs__(self) -> PA:
        return PA.of_word(self.word & MAGNITUDE)

    def __bool__(self) -> bool:
        return not scalar.is_zero(self.word)

    def __repr__(self) -> str:
        return f"PA({float(self)!r})"
