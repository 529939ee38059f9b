"""Modules that call one function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.functional import Derivative, Derivatives


class _WithDerivative(torch.nn.Module):
    """The option ``derivative``, and options in ``repr`` where they differ from their defaults."""

    DEFAULT_DERIVATIVE: Derivative = "approximate"
    derivative: Any

    def extra_repr(self) -> str:
        defaults = {"derivative": self.DEFAULT_DERIVATIVE, "mantissa_bits": 23, "compensation": None}
        options = [
            f"{name}={getattr(self, name)!r}"
            for name, default in defaults.items()
            if getattr(self, name, default) != default
        ]
        return ", ".join(filter(None, [super().extra_repr(), *options]))


class Linear(_WithDerivative, torch.nn.Linear):
    """``torch.nn.Linear`` with PAM products; see ``functional.linear``."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        derivative: Derivatives = "approximate",
        mantissa_bits: int = 23,
        compensation: float | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.derivative = derivative
        self.mantissa_bits = mantissa_bits
        self.compensation = compensation

    def forward(self, input: Tensor) -> Tensor:
        return MF.linear(
            input,
            self.weight,
            self.bias,
            derivative=self.derivative,
            mantissa_bits=self.mantissa_bits,
            compensation=self.compensation,
        )


class LayerNorm(_WithDerivative, torch.nn.LayerNorm):
    """``torch.nn.LayerNorm`` in PA arithmetic; see ``functional.layer_norm``."""

    def __init__(self, *args: Any, derivative: Derivative = "approximate", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.derivative = derivative

    def forward(self, input: Tensor) -> Tensor:
        return MF.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps, derivative=self.derivative)


class GELU(_WithDerivative, torch.nn.GELU):
    """``torch.nn.GELU`` in PA arithmetic; see ``functional.gelu``."""

    def __init__(self, approximate: str = "none", *, derivative: Derivative = "approximate") -> None:
        super().__init__(approximate)
        self.derivative = derivative

    def forward(self, input: Tensor) -> Tensor:
        return MF.gelu(input, self.approximate, derivative=self.derivative)


class Softmax(_WithDerivative, torch.nn.Softmax):
    """``torch.nn.Softmax`` in PA arithmetic; see ``functional.softmax``. Deviation: ``dim`` must be given."""

    def __init__(self, dim: int, *, derivative: Derivative = "approximate") -> None:
        super().__init__(dim)
        self.derivative = derivative

    def forward(self, input: Tensor) -> Tensor:
        return MF.softmax(input, _given(self.dim, "Softmax"), derivative=self.derivative)


class LogSoftmax(_WithDerivative, torch.nn.LogSoftmax):
    """``torch.nn.LogSoftmax`` in PA arithmetic; see ``functional.log_softmax``. Deviation: ``dim`` must be given."""

    def __init__(self, dim: int, *, derivative: Derivative = "approximate") -> None:
        super().__init__(dim)
        self.derivative = derivative

    def forward(self, input: Tensor) -> Tensor:
        return MF.log_softmax(input, _given(self.dim, "LogSoftmax"), derivative=self.derivative)


def _given(dim: int | None, module: str) -> int:
    if dim is None:
        raise ValueError(f"{module}: dim must be given; the implicit choice is deprecated in torch")
    return dim


class Dropout(torch.nn.Dropout):
    """``torch.nn.Dropout`` in PA arithmetic; see ``functional.dropout``."""

    def forward(self, input: Tensor) -> Tensor:
        return MF.dropout(input, self.p, self.training, self.inplace)


class CrossEntropyLoss(_WithDerivative, torch.nn.CrossEntropyLoss):
    """``torch.nn.CrossEntropyLoss`` in PA arithmetic; see ``functional.cross_entropy``."""

    DEFAULT_DERIVATIVE: Derivative = "exact"

    def __init__(self, *args: Any, derivative: Derivative = "exact", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.derivative = derivative

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return MF.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,  # type: ignore[arg-type]
            label_smoothing=self.label_smoothing,
            derivative=self.derivative,
        )
