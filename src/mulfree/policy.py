"""What to replace and how: a frozen description, read by ``convert``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from mulfree.functional import Derivative, Derivatives
from mulfree.functional._options import MantissaBits, are_exact, is_exact, offset, precision

GroupName = Literal["matmul", "softmax", "norm", "activation", "elementwise", "loss"]
_GROUPS: tuple[GroupName, ...] = get_args(GroupName)
Base = Literal["e", "2"]


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
class Products:
    """The group of matrix products.

    Attributes:
        on: replace the group's operations.
        derivative, mantissa_bits, compensation: as in ``functional.matmul``.

    Raises:
        ValueError: an unknown derivative, ``mantissa_bits`` outside 1 to 23, or a compensation that is not positive
            and finite.
    """

    on: bool = True
    derivative: Derivatives = "approximate"
    mantissa_bits: MantissaBits = 23
    compensation: float | None = None

    def __post_init__(self) -> None:
        are_exact(self.derivative)
        precision(self.mantissa_bits)
        offset(self.compensation)


_OFF = Group(on=False)


@dataclass(frozen=True)
class Policy:
    """Which groups of operations ``convert`` replaces. Without arguments it is ``Policy.full()``.

    Attributes:
        matmul: linear layers, matrix products, convolutions, the products of attention and recurrent layers.
        softmax: softmax and its logarithm, the softmax of attention.
        norm: layer, RMS, batch, group and instance normalization.
        activation: GELU, SiLU, sigmoid, tanh and the like.
        elementwise: products, quotients, powers and functions of tensors, means, pooling, dropout.
        loss: cross-entropy and the other losses; exact by default, the paper's choice (Table 3).
        base: "2": softmax, its logarithm and cross-entropy, where they are replaced, are those in base 2
            (``functional.softmax2``, ``log_softmax2``, ``cross_entropy2``), which section 5 proposes; ``logsumexp`` and
            ``softmin`` stay in base e. Scores are then
            exponents of two, also in what reads them outside of converted modules.
        allow: names of torch functions that stay as they are, multiplications included ("fft_fft"). A function that
            is neither free of multiplications nor has a piecewise affine form is an error otherwise.
    """

    matmul: Products = field(default_factory=Products)
    softmax: Group = field(default_factory=Group)
    norm: Group = field(default_factory=Group)
    activation: Group = field(default_factory=Group)
    elementwise: Group = field(default_factory=Group)
    loss: Group = field(default_factory=lambda: Group(derivative="exact"))
    base: Base = "e"
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.base not in get_args(Base):
            raise ValueError(f"base must be 'e' or '2', got {self.base!r}")
        if not isinstance(self.allow, tuple):
            raise TypeError(f"allow must be a tuple of names of torch functions, got {self.allow!r}")

    def allows(self, name: str) -> bool:
        """True if the torch function of this plain name shall stay as it is."""
        return name in self.allow

    @property
    def is_full(self) -> bool:
        """True if every group is on."""
        return all(getattr(self, group).on for group in _GROUPS)

    @property
    def is_standard(self) -> bool:
        """True if every group is off."""
        return not any(getattr(self, group).on for group in _GROUPS)

    @classmethod
    def full(cls) -> Policy:
        """Everything replaced: approximate derivatives, that of the loss exact (the last row of Table 3)."""
        return cls()

    @classmethod
    def matmul_only(
        cls,
        mantissa_bits: MantissaBits = 23,
        derivative: Derivatives = "approximate",
        compensation: float | None = None,
    ) -> Policy:
        """Only the matrix products replaced (Table 2)."""
        products = Products(derivative=derivative, mantissa_bits=mantissa_bits, compensation=compensation)
        return cls(matmul=products, softmax=_OFF, norm=_OFF, activation=_OFF, elementwise=_OFF, loss=_OFF)

    @classmethod
    def standard(cls) -> Policy:
        """Nothing replaced."""
        return cls(matmul=Products(on=False), softmax=_OFF, norm=_OFF, activation=_OFF, elementwise=_OFF, loss=_OFF)
