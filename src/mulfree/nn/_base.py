"""What every module of ``mulfree.nn`` has in common: torch's module, run in piecewise affine arithmetic."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from mulfree.functional import Derivative, Derivatives, MantissaBits
from mulfree.nn._graph import SUPPORTED, in_graph
from mulfree.policy import Group, Policy, Products
from mulfree.replace import Scope, run, uncompiled

_is_traced = torch.compiler.is_dynamo_compiling


@lru_cache(maxsize=256)
def _policy(derivative: Derivatives, mantissa_bits: MantissaBits, compensation: float | None) -> Policy:
    single: Derivative = "approximate" if isinstance(derivative, tuple) else derivative
    group = Group(derivative=single)
    products = Products(derivative=derivative, mantissa_bits=mantissa_bits, compensation=compensation)
    return replace(
        Policy.full(), matmul=products, softmax=group, norm=group, activation=group, elementwise=group, loss=group
    )


class PiecewiseAffine(torch.nn.Module):
    """The forward of the torch module that comes next among the bases, with its operations replaced.

    Attributes:
        derivative: of every operation inside.
    """

    DEFAULT_DERIVATIVE: Derivative = "approximate"
    derivative: Any
    mantissa_bits = 23
    compensation: float | None = None

    def __init__(self, *args: Any, derivative: Derivative | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.derivative = self.DEFAULT_DERIVATIVE if derivative is None else derivative
        self.policy()  # raises for a bad option

    def policy(self) -> Policy:
        """What is replaced while this module runs: everything, with its options.

        Raises:
            ValueError: an option has no valid value.
        """
        return _policy(self.derivative, self.mantissa_bits, self.compensation)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """See torch's module."""
        if _is_traced():
            return in_graph(_forward, self, args, kwargs) if SUPPORTED else _uncompiled(self, args, kwargs)
        return _forward(self, args, kwargs)

    def extra_repr(self) -> str:
        defaults = {"derivative": self.DEFAULT_DERIVATIVE, "mantissa_bits": 23, "compensation": None}
        options = [
            f"{name}={getattr(self, name)!r}" for name, default in defaults.items() if getattr(self, name) != default
        ]
        return ", ".join(filter(None, [super().extra_repr(), *options]))


def _forward(module: PiecewiseAffine, args: Any, kwargs: Any) -> Any:
    """The forward of torch's module."""
    scope = Scope(module.policy(), type(module).__name__)
    return run(scope, super(PiecewiseAffine, module).forward, *args, **kwargs)


def _uncompiled(module: PiecewiseAffine, args: Any, kwargs: Any) -> Any:
    return _forward(module, args, kwargs)


uncompiled(_uncompiled)


class WithProducts(PiecewiseAffine):
    """A module with matrix products inside.

    Attributes:
        derivative: of every operation inside; a pair is for the two operands of the matrix products, and the rest is
            approximate.
        mantissa_bits, compensation: of the matrix products; see ``functional.matmul``.
    """

    def __init__(
        self,
        *args: Any,
        derivative: Derivatives | None = None,
        mantissa_bits: MantissaBits = 23,
        compensation: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.__dict__.update(mantissa_bits=mantissa_bits, compensation=compensation)
        super().__init__(*args, derivative=derivative, **kwargs)  # type: ignore[arg-type]


class Loss(PiecewiseAffine):
    """A loss; its derivative is exact by default, the paper's choice (Table 3)."""

    DEFAULT_DERIVATIVE: Derivative = "exact"
