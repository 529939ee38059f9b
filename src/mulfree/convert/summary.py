"""What a converted model will do, module by module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from mulfree.convert.classes import Reverted, original_class, scope_of
from mulfree.nn._base import PiecewiseAffine
from mulfree.policy import Group, GroupName, Policy, Products

_GROUP_OF_FILE: dict[str, tuple[GroupName, ...]] = {
    "linear": ("matmul",),
    "conv": ("matmul",),
    "rnn": ("matmul", "activation", "elementwise"),
    "batchnorm": ("norm",),
    "instancenorm": ("norm",),
    "normalization": ("norm",),
    "activation": ("activation",),
    "loss": ("loss",),
    "dropout": ("elementwise",),
    "pooling": ("elementwise",),
}
"""The groups that the modules of a file of ``torch.nn.modules`` belong to."""
_GROUP_OF_CLASS: dict[str, tuple[GroupName, ...]] = {
    "MultiheadAttention": ("matmul", "softmax", "elementwise"),
    "Softmax": ("softmax",),
    "Softmin": ("softmax",),
    "LogSoftmax": ("softmax",),
    "Softmax2d": ("softmax",),
}
_FREE = ("Identity", "Flatten", "Unflatten", "ReLU", "ReLU6", "Threshold", "Hardtanh", "Embedding")
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")


@dataclass(frozen=True)
class Row:
    """One module.

    Attributes:
        name: path in the model, "" for the model itself.
        kind: name of its class.
        arithmetic: "piecewise affine", "standard", "mixed", or "free" if it only moves, adds or compares.
        derivative, mantissa_bits, compensation: of its operations where they are replaced; "" where that says nothing.
        reason: why something was left out.
    """

    name: str
    kind: str
    arithmetic: str
    derivative: str
    mantissa_bits: str
    compensation: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """The rows, one per module; ``str`` is a table."""

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        titles = ("module", "type", "arithmetic", "derivative", "mantissa bits", "compensation", "note")
        lines = [titles] + [
            (r.name or "(model)", r.kind, r.arithmetic, r.derivative, r.mantissa_bits, r.compensation, r.reason)
            for r in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


@dataclass(frozen=True)
class _Arithmetic:
    """What holds while a module runs: its policy (None: nothing is replaced), where that is set, and why."""

    policy: Policy | None
    origin: str
    note: str


def summary(model: torch.nn.Module) -> Summary:
    """What each module of ``model`` does: arithmetic, derivative, mantissa bits; what was skipped and why.

    A module that was not converted itself computes as the nearest module around it does that says how. What is around
    ``model`` itself is not seen.

    Raises:
        TypeError: ``model`` is no module.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"summary(): argument 'model' must be a torch.nn.Module, got {type(model)}")
    found: dict[str, _Arithmetic] = {}
    rows = []
    for name, module in model.named_modules():
        around = found.get(name.rpartition(".")[0]) if name else None
        found[name] = _arithmetic(name, module, around)
        rows.append(_row(name, module, found[name]))
    return Summary(tuple(rows))


def _arithmetic(name: str, module: torch.nn.Module, around: _Arithmetic | None) -> _Arithmetic:
    scope = scope_of(module)
    if isinstance(module, PiecewiseAffine):
        return _Arithmetic(module.policy(), name, "its own options")
    if isinstance(scope, Reverted):
        return _Arithmetic(None, name, "reverted")
    if scope is not None:
        return _Arithmetic(scope.policy, name, "excluded by 'where'" if scope.policy is None else "")
    if around is None:
        return _Arithmetic(None, name, "not converted")
    if around.note == "not converted":
        return around
    return _Arithmetic(around.policy, around.origin, f"not converted; computes as {around.origin or '(model)'}")


def _row(name: str, module: torch.nn.Module, how: _Arithmetic) -> Row:
    kind = original_class(module)
    if how.policy is None:
        return Row(name, kind.__name__, "standard", "", "", "", how.note)
    if kind.__name__ in (*_FREE, *_CONTAINERS) and kind.__module__.startswith("torch."):
        return Row(name, kind.__name__, "free", "", "", "", "")
    return _described(name, kind, how.policy, how.note)


def _described(name: str, kind: type[torch.nn.Module], policy: Policy, note: str) -> Row:
    names = _groups(kind)
    groups: list[Group | Products] = [getattr(policy, group) for group in names]
    on = [group for group in groups if group.on]
    off = [group for group in names if not getattr(policy, group).on]
    arithmetic = "standard" if not on else "mixed" if off else "piecewise affine"
    derivatives = dict.fromkeys("/".join(g.derivative) if isinstance(g.derivative, tuple) else g.derivative for g in on)
    products = policy.matmul if "matmul" in names and policy.matmul.on else None
    reasons = [note] if note else []
    if off:
        reasons.append(f"policy: {', '.join(off)} off")
    if policy.allow:
        reasons.append(f"allowed: {', '.join(policy.allow)}")
    return Row(
        name,
        kind.__name__,
        arithmetic,
        ", ".join(derivatives),
        "" if products is None else str(products.mantissa_bits),
        "" if products is None or products.compensation is None else f"{products.compensation:g}",
        "; ".join(reasons),
    )


def _groups(kind: type[torch.nn.Module]) -> tuple[GroupName, ...]:
    """The groups of a class of torch; any other class may use all."""
    for base in kind.__mro__:
        if base.__name__ in _GROUP_OF_CLASS and base.__module__.startswith("torch.nn"):
            return _GROUP_OF_CLASS[base.__name__]
        if base.__module__.startswith("torch.nn.modules.") and base is not torch.nn.Module:
            found = _GROUP_OF_FILE.get(base.__module__.rpartition(".")[2])
            if found:
                return found
    return ("matmul", "softmax", "norm", "activation", "elementwise", "loss")
