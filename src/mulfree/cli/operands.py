"""``mulfree hardware operands``: operands of a training's products, for energies of units."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mulfree.cli.errors import reported
from mulfree.cli.outputs import check_output
from mulfree.cli.progress import TrainingProgress
from mulfree.cli.screen import screen
from mulfree.cli.settings import changes_of
from mulfree.cli.threads import set_threads
from mulfree.hardware.sampling import training_operands
from mulfree.recipes import changed, load


def operands(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or path of a TOML file.")] = "digits",
    *,
    steps: Annotated[int, typer.Option(min=0, help="Steps of training before the one that they are taken from.")] = 200,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any setting of the recipe.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; torch's choice if not given.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .npz file.")] = Path("operands.npz"),
) -> None:
    """Train a recipe and write operands of matrix products, forward and backward, for mulfree hardware cost."""
    console = screen()
    with reported():
        check_output("--output", output, ".npz")
        set_threads(threads)
        chosen = changed(load(recipe), {"training.workers": 0, **changes_of({}, set_)})
        trainer = chosen.make_trainer()
        with TrainingProgress(console) as progress:
            tell = progress.begin(chosen.name, chosen.training.seed, 0, steps + 1)
            stream = training_operands(trainer, steps, lambda step: tell(step, ""))
        stream.write(output)
    zeros = float(((stream.a == 0) | (stream.b == 0)).mean())
    console.print(f"{len(stream.a)} products, {100 * zeros:.0f} % with a zero", highlight=False)
    console.print(f"Wrote {output}", highlight=False, markup=False, soft_wrap=True)
