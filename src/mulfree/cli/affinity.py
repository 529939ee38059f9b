"""``mulfree affinity``: is a network piecewise affine in its inputs and weights?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track
from rich.table import Table

from mulfree.analysis.affinity import Moved, is_piecewise_affine, slice_along
from mulfree.analysis.affinity_plot import save_slice, small_network
from mulfree.cli.errors import reported
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen
from mulfree.convert import convert
from mulfree.models.vit import VisionTransformer
from mulfree.train.errors import writing

_MOVED: tuple[Moved, ...] = ("inputs", "weights", "both")


def affinity(
    output: Annotated[Path, typer.Option(help="PNG of one slice.")] = Path("affinity.png"),
    seed: Annotated[int, typer.Option(help="Of the networks, lines and data.")] = 0,
) -> None:
    """Compare gradients bit by bit along random lines, for networks with and without multiplications."""
    with reported():
        check_output("--output", output, ".png")
        _compare(output, seed)


def _compare(output: Path, seed: int) -> None:
    torch.manual_seed(seed)
    networks: dict[str, tuple[Callable[[], torch.nn.Module], torch.Tensor]] = {
        "linear, GELU, layer norm, softmax": (lambda: small_network(seed), torch.randn(3, 2)),
        "Vision Transformer": (lambda: VisionTransformer(width=16, depth=1, heads=2), torch.rand(2, 1, 8, 8)),
    }
    table = Table("network", "arithmetic", "moved", "same gradient bits", "piecewise affine")
    jobs = [(name, arithmetic, moved) for name in networks for arithmetic in ("standard", "PA") for moved in _MOVED]
    for name, arithmetic, moved in track(jobs, description="Walking along lines"):
        make, inputs = networks[name]
        torch.manual_seed(seed)
        model = make()
        if arithmetic == "PA":
            convert(model)
        share = slice_along(model, inputs, moved=moved, step_bits=1, seed=seed).share
        verdict = is_piecewise_affine(model, inputs, moved=moved, seeds=(seed,))
        table.add_row(name, arithmetic, moved, f"{100 * share:.0f} %", "yes" if verdict else "no")
    console = screen()
    console.print(table)
    with writing(output):
        save_slice(output, seed)
    console.print(f"Wrote {output}", highlight=False, markup=False, soft_wrap=True)
