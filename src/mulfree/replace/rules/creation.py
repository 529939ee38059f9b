"""Evenly spaced numbers and counts over them: exact fractions, computed in Python integers and rounded once."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from mulfree.numerics import ratios
from mulfree.policy import Policy
from mulfree.replace.rules._rule import rule


def _spaced(start: Fraction, step: Fraction, count: int, dtype: torch.dtype | None, **kwargs: Any) -> Tensor:
    values = [_nearest(start + step * i) for i in range(count)]
    return torch.tensor(values, dtype=dtype or torch.get_default_dtype(), **kwargs)


def _fraction(function: str, name: str, number: Any) -> Fraction:
    value = number.item() if isinstance(number, Tensor) else number
    if not math.isfinite(value):
        raise RuntimeError(f"{function}(): '{name}' must be finite, got {value}")
    return Fraction(value)


def _nearest(number: Fraction) -> float:
    return ratios.value(number.numerator, number.denominator)


def _creation_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    kwargs.pop("layout", None)
    return {name: kwargs[name] for name in ("device", "requires_grad", "pin_memory") if kwargs.get(name) is not None}


@rule("arange")
def _arange(policy: Policy, *args: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> Tensor:
    given = dict(zip(("start", "end", "step") if len(args) > 1 else ("end",), args, strict=False)) | kwargs
    start, end, step = given.get("start", 0), given["end"], given.get("step", 1)
    options = _creation_options(kwargs)
    bounds = [x.item() if isinstance(x, Tensor) else x for x in (start, end, step)]
    if all(isinstance(x, int) for x in bounds) and not (options.get("requires_grad") or dtype is torch.bool):
        whole = torch.arange(*bounds, dtype=torch.int64, **options)
        return whole if dtype is None else whole.to(dtype)
    first, last, width = (
        _fraction("arange", name, x) for name, x in zip(("start", "end", "step"), bounds, strict=True)
    )
    if width == 0 or (first != last and (width > 0) != (last > first)):
        raise RuntimeError(f"arange(): 'step' must lead from {bounds[0]} to {bounds[1]}, got {bounds[2]}")
    count = math.ceil(_nearest(Fraction(bounds[1] - bounds[0]) / width))  # as torch, by the rounded quotient
    return _spaced(first, width, count, dtype, **options)


@rule("linspace")
def _linspace(policy: Policy, start: Any, end: Any, steps: int, *, dtype: Any = None, **kwargs: Any) -> Tensor:
    if steps < 0:
        raise RuntimeError(f"linspace(): 'steps' must not be negative, got {steps}")
    first, last = (_fraction("linspace", name, x) for name, x in (("start", start), ("end", end)))
    width = (last - first) / (steps - 1) if steps > 1 else Fraction(0)
    return _spaced(first, width, steps, dtype, **_creation_options(kwargs))


@rule("histc", closed=True)
def _histc(policy: Policy, input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    low, high = (Fraction(x) for x in (min, max))
    if low == high and input.numel():
        low, high = (Fraction(x.item()) for x in torch.aminmax(input))
    if low == high:
        low, high = low - 1, high + 1
    edges = _spaced(low, (high - low) / bins, bins + 1, torch.float64, device=input.device)
    values = input.detach().flatten().to(torch.float64)
    values = values[(values >= edges[0]) & (values <= edges[-1])]
    places = torch.searchsorted(edges, values, right=True) - 1
    return torch.bincount(places.clamp(max=bins - 1), minlength=bins).to(input.dtype)
