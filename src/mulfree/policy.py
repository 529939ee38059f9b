"""What to replace and how: a frozen description, read by ``convert``."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, get_args

import torch
from torch.overrides import get_overridable_functions

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
        TypeError: ``on`` is no bool.
        ValueError: an unknown derivative.
    """

    on: bool = True
    derivative: Derivative = "approximate"

    def __post_init__(self) -> None:
        _check_on(self.on)
        is_exact(self.derivative)


def _check_on(on: object) -> None:
    if not isinstance(on, bool):
        raise TypeError(f"on must be True or False, got {on!r}")


@dataclass(frozen=True)
class Products:
    """The group of matrix products.

    Attributes:
        on: replace the group's operations.
        derivative, mantissa_bits, compensation: as in ``functional.matmul``.

    Raises:
        TypeError: ``on`` is no bool, ``mantissa_bits`` no whole number or pair of them, or the compensation no number.
        ValueError: an unknown derivative, ``mantissa_bits`` outside 1 to 23, or a compensation that is not positive
            and finite.
    """

    on: bool = True
    derivative: Derivatives = "approximate"
    mantissa_bits: MantissaBits = 23
    compensation: float | None = None

    def __post_init__(self) -> None:
        _check_on(self.on)
        are_exact(self.derivative)
        precision(self.mantissa_bits)
        offset(self.compensation)


_OFF = Group(on=False)


def _check_functions(names: tuple[str, ...]) -> None:
    """Raise for the first of ``names`` that no torch function has."""
    known = {function.__name__ for functions in get_overridable_functions().values() for function in functions}
    known |= {full.partition("::")[2].partition(".")[0] for full in torch._C._dispatch_get_all_op_names()}
    known |= {name.rstrip("_") for name in known}
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"allow must be a tuple of names of torch functions, got {name!r} in it")
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"allow: there is no torch function of the name {name!r}{hint}")


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

    Raises:
        TypeError: a group is no ``Group`` (``matmul``: no ``Products``), or ``allow`` no tuple of strings.
        ValueError: ``base`` is neither "e" nor "2", or a name in ``allow`` is that of no torch function. Those of other
            libraries must be registered with torch (``torch.library``) before.
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
        for group in _GROUPS:
            kind, given = Products if group == "matmul" else Group, getattr(self, group)
            if not isinstance(given, kind):
                raise TypeError(
                    f"{group} must be a mulfree.policy.{kind.__name__}, got {given!r}; "
                    f"{kind.__name__}(on=False) leaves the group out"
                )
        if self.base not in get_args(Base):
            raise ValueError(f"base must be 'e' or '2', got {self.base!r}")
        if not isinstance(self.allow, tuple):
            raise TypeError(f"allow must be a tuple of names of torch functions, got {self.allow!r}")
        if self.allow:
            _check_functions(self.allow)

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
