"""What to replace and how: a frozen description, read by ``convert``."""

from __future__ import annotations

from dataclasses import dataclass, field

from mulfree.functional import Derivative
from mulfree.functional._options import is_exact, offset


@dataclass(frozen=True)
class Group:
    """One group of operations.

    Attributes:
        on: replace the group's operations.
        derivative: of the replaced operations.

    Raises:
        ValueError: an unknown derivative.
    """

    on: bool = True
    derivative: Derivative = "approximate"

    def __post_init__(self) -> None:
        is_exact(self.derivative)


@dataclass(frozen=True)
class Products(Group):
    """The group of matrix products, with the options of ``functional.matmul``.

    Raises:
        ValueError: ``mantissa_bits`` outside 1 to 23, or a compensation that is not positive and finite.
    """

    mantissa_bits: int = 23
    compensation: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.mantissa_bits <= 23:
            raise ValueError(f"mantissa_bits must be 1 to 23, got {self.mantissa_bits}")
        offset(self.compensation)


_OFF = Group(on=False)


@dataclass(frozen=True)
class Policy:
    """Which groups of operations ``convert`` replaces. Without arguments it is ``Policy.full()``.

    Attributes:
        matmul: linear layers, matrix products, the products of attention.
        softmax: softmax and its logarithm, the softmax of attention.
        norm: layer normalization.
        activation: GELU.
        elementwise: products and quotients of tensors, dropout.
        loss: cross-entropy; exact by default, the paper's choice (Table 3).
    """

    matmul: Products = field(default_factory=Products)
    softmax: Group = field(default_factory=Group)
    norm: Group = field(default_factory=Group)
    activation: Group = field(default_factory=Group)
    elementwise: Group = field(default_factory=Group)
    loss: Group = field(default_factory=lambda: Group(derivative="exact"))

    @classmethod
    def full(cls) -> Policy:
        """Everything replaced: approximate derivatives, that of the loss exact (the last row of Table 3)."""
        return cls()

    @classmethod
    def matmul_only(
        cls, mantissa_bits: int = 23, derivative: Derivative = "approximate", compensation: float | None = None
    ) -> Policy:
        """Only the matrix products replaced (Table 2)."""
        products = Products(derivative=derivative, mantissa_bits=mantissa_bits, compensation=compensation)
        return cls(matmul=products, softmax=_OFF, norm=_OFF, activation=_OFF, elementwise=_OFF, loss=_OFF)

    @classmethod
    def standard(cls) -> Policy:
        """Nothing replaced."""
        return cls(matmul=Products(on=False), softmax=_OFF, norm=_OFF, activation=_OFF, elementwise=_OFF, loss=_OFF)
