"""How much arithmetic was done in place of how many float multiplications."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Numbers of scalar operations.

    Attributes:
        products: piecewise affine products (PAM, paper's section 2.2).
        quotients: piecewise affine quotients (PAD, section 2.3).
        additions: float additions and subtractions.
        powers: piecewise affine powers of two (eq. 9).
        logarithms: piecewise affine logarithms to base two (eq. 10).
        replaced: float multiplications, divisions, roots, exponentials and logarithms that the same operations take
            in ordinary arithmetic.
    """

    products: int = 0
    quotients: int = 0
    additions: int = 0
    powers: int = 0
    logarithms: int = 0
    replaced: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def times(self, count: int) -> Work:
        """The work of ``count`` of these."""
        return Work(*(a * count for a in astuple(self)))
