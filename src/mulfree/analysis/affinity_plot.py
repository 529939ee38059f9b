"""The figure of a slice: output and slope along a line, of a piecewise affine network and the ordinary one."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from mulfree.analysis.affinity import with_exact_derivatives
from mulfree.convert import convert
from mulfree.train.figures import empty_figure, tidy

POINTS = 1601
COLOURS = {"multiplication-free": "#0b4f8a", "standard": "#8a8a8a"}


def small_network(seed: int) -> nn.Module:
    """Linear layers, GELU, layer norm and softmax, few enough neurons to see single breakpoints."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 3), nn.Softmax(-1))


def along(model: nn.Module, start: Tensor, direction: Tensor, ends: tuple[float, float]) -> tuple[Tensor, ...]:
    """Positions, first output and its derivative along the line ``start + t * direction``, each ``(POINTS,)``."""
    positions = torch.linspace(*ends, POINTS)
    x = (start + positions[:, None] * direction).requires_grad_()
    y = model(x)[:, 0]
    (gradient,) = torch.autograd.grad(y.sum(), x)
    return positions, y.detach(), (gradient * direction).sum(-1)


def save_slice(path: Path, seed: int = 0) -> None:
    """Draw the outputs and slopes of ``small_network`` along a random line of its inputs as a PNG."""
    standard = small_network(seed)
    networks = {
        "standard": standard,
        "multiplication-free": with_exact_derivatives(convert(copy.deepcopy(standard))),
    }
    generator = torch.Generator().manual_seed(seed)
    start, direction = torch.randn(2, generator=generator), torch.randn(2, generator=generator)
    figure = empty_figure(8, 5.5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for label, network in networks.items():
        positions, values, slopes = along(network, start, direction, (-2.0, 2.0))
        upper.plot(positions, values, color=COLOURS[label], label=label, linewidth=1.4)
        lower.plot(positions, slopes, color=COLOURS[label], label=label, linewidth=1.2, drawstyle="steps-mid")
    upper.set_ylabel("output")
    lower.set_ylabel("slope (exact derivative)")
    lower.set_xlabel("position along a random line in the input")
    upper.legend(frameon=False)
    for axes in (upper, lower):
        tidy(axes)
    figure.suptitle("Linear, GELU, layer norm, linear, softmax along a line", fontsize=11)
    figure.savefig(path, format="png", dpi=150)
