"""Piecewise affinity of a whole network, in its inputs and its weights together (section 2.4).

A piecewise affine function has a constant slope between breakpoints. The exact derivative of a piecewise affine
network is built from powers of two that depend on the segment alone, so it has **the same bits** everywhere on a
segment, and comparing bits is the test: along a line, walked in steps of a few units in the last place of every
coordinate, neighbours share all bits of their gradients unless a breakpoint lies between them. The gradient of an
ordinary network changes with every step.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from mulfree.convert.classes import scope_of, set_scope
from mulfree.nn._base import PiecewiseAffine
from mulfree.numerics import formats
from mulfree.policy import Policy
from mulfree.replace import Scope

Moved = Literal["inputs", "weights", "both"]

_STEPS = (12, 9, 6, 3, 1)
"""Sizes of a step that are tried, as powers of two of a unit in the last place; the coarsest first."""
_LEAST_SHARE = 0.5


@dataclass(frozen=True)
class Slice:
    """A network along a line.

    Attributes:
        outputs: value of the network's outputs, added with random signs, at each point: ``(points,)``, float64.
        slopes: derivative of it along the line, per step: ``(points,)``, float64.
        same: whether all bits of the gradient at a point equal those at the next: ``(points - 1,)``, bool.
    """

    outputs: Tensor
    slopes: Tensor
    same: Tensor

    @property
    def segments(self) -> int:
        """Number of stretches on which the gradient does not change."""
        return int((~self.same).sum()) + 1

    @property
    def share(self) -> float:
        """Share of neighbouring points with the same gradient."""
        return float(self.same.double().mean())


def slice_along(
    model: torch.nn.Module,
    inputs: Tensor,
    *,
    moved: Moved = "both",
    points: int = 64,
    step_bits: int = 3,
    seed: int = 0,
) -> Slice:
    """Walk along a random line through ``inputs`` and the weights, and take outputs and exact gradients.

    Every coordinate that moves does so by plus or minus 2**step_bits units in its last place per step, so all points
    lie exactly on the line; zeros stay. Derivatives are taken as exact whatever the model's policy says (outputs do
    not depend on it). The model itself is not changed; it runs in evaluation mode.

    Args:
        model: a converted model, or an ordinary one for comparison.
        inputs: float32, the model's only argument.
        moved: what moves.
        points: at least 2.
        step_bits: 1 to 16.
        seed: of the direction and the signs.

    Raises:
        ValueError: an argument is out of range, or nothing moves.
        TypeError: ``inputs`` is not float32.
    """
    if moved not in ("inputs", "weights", "both"):
        raise ValueError(f"moved must be 'inputs', 'weights' or 'both', got {moved!r}")
    if points < 2 or not 1 <= step_bits <= 16:
        raise ValueError(f"points must be at least 2 and step_bits 1 to 16, got {points} and {step_bits}")
    if inputs.dtype is not torch.float32:
        raise TypeError(f"slice_along(): argument 'inputs' must be float32, got {inputs.dtype}")
    twin = with_exact_derivatives(model)
    generator = torch.Generator().manual_seed(seed)
    x = inputs.detach().clone().requires_grad_(moved != "weights")
    weights = [p for p in twin.parameters() if p.dtype is torch.float32] if moved != "inputs" else []
    coordinates = [x, *weights] if moved != "weights" else weights
    starts = [c.detach().clone() for c in coordinates]
    directions = [_direction(c.detach(), step_bits, generator) for c in coordinates]
    if not any(bool(d.any()) for d in directions):
        raise ValueError("nothing moves along the line: all its coordinates are zero")
    signs: Tensor | None = None
    outputs, slopes, gradients = [], [], []
    for point in range(points):
        with torch.no_grad():
            for c, start, direction in zip(coordinates, starts, directions, strict=True):
                c.copy_(start.double() + point * direction.double())
        y = twin(x)
        if signs is None:
            signs = torch.randint(0, 2, y.shape, generator=generator).to(y) * 2 - 1
        gradient = torch.autograd.grad(y, coordinates, signs, allow_unused=True)
        found = [torch.zeros_like(c) if g is None else g for c, g in zip(coordinates, gradient, strict=True)]
        outputs.append((y.detach().double() * signs).sum())
        slopes.append(torch.stack([(g.double() * d).sum() for g, d in zip(found, directions, strict=True)]).sum())
        gradients.append(torch.cat([g.flatten() for g in found]).view(torch.int32))
    same = torch.stack([(a == b).all() for a, b in itertools.pairwise(gradients)])
    return Slice(torch.stack(outputs), torch.stack(slopes), same)


def is_piecewise_affine(
    model: torch.nn.Module, inputs: Tensor, *, moved: Moved = "both", points: int = 48, seeds: Sequence[int] = (0, 1, 2)
) -> bool:
    """True if along random lines the exact gradient is constant but for breakpoints; see ``slice_along``.

    A large network has so many breakpoints that few steps stay on one segment; steps are made smaller until at
    least half of them do, down to two units in the last place. Raises as ``slice_along`` does.
    """
    return all(
        any(
            slice_along(model, inputs, moved=moved, points=points, step_bits=bits, seed=seed).share >= _LEAST_SHARE
            for bits in _STEPS
        )
        for seed in seeds
    )


def with_exact_derivatives(model: torch.nn.Module) -> torch.nn.Module:
    """A copy in evaluation mode whose derivatives are all exact."""
    twin = copy.deepcopy(model).eval()
    for module in twin.modules():
        scope = scope_of(module)
        if scope is not None and scope.policy is not None:
            set_scope(module, Scope(_exact(scope.policy), scope.module))
        if isinstance(module, PiecewiseAffine):
            module.derivative = "exact"
    return twin


def _exact(policy: Policy) -> Policy:
    groups = ("matmul", "softmax", "norm", "activation", "elementwise", "loss")
    return replace(policy, **{name: replace(getattr(policy, name), derivative="exact") for name in groups})


def _direction(x: Tensor, step_bits: int, generator: torch.Generator) -> Tensor:
    """Plus or minus 2**step_bits units in the last place of every entry; zero where the entry is."""
    words = x.view(torch.int32)
    exponents = (words & formats.INF) >> formats.MANTISSA_BITS
    steps = ((exponents - formats.MANTISSA_BITS + step_bits).clamp(min=0)) << formats.MANTISSA_BITS
    signs = torch.randint(0, 2, x.shape, generator=generator) * 2 - 1
    return steps.view(torch.float32) * signs
