"""``mulfree vectors``: operands and results of the law for tests of other implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mulfree.cli.errors import reported
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen
from mulfree.hardware.rtl.vectors import Operation, golden_vectors
from mulfree.hardware.rtl.words import Format
from mulfree.train import ConfigError
from mulfree.train.errors import writing


def vectors(
    *,
    op: Annotated[Operation, typer.Option(help="Operation of the law.")] = "mul",
    format: Annotated[str, typer.Option(help="float32, bfloat16, float16, or like E8M4.")] = "float32",
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Vectors; special ones come first.")] = 100_000,
    alpha: Annotated[float, typer.Option(help="Compensation of mul, rounded to the format; 1 is none.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the random vectors.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A .json or .hex file; hex on the screen if not given.")
    ] = None,
) -> None:
    """Write golden vectors: operands and the words that the law makes of them."""
    with reported():
        check_output("--output", output, ".json", ".hex")
        try:
            found = golden_vectors(op, Format.named(format), count, alpha=alpha, seed=seed)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if output is None:
            typer.echo(found.hex(), nl=False)
            return
        with writing(output):
            output.write_text(found.json() if output.suffix.lower() == ".json" else found.hex())
    screen().print(f"Wrote {output}", highlight=False, markup=False, soft_wrap=True)
