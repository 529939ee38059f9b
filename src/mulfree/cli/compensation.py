"""``mulfree compensation``: how far a factor α on every product reduces the error of PAM (section 2.7)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mulfree.analysis.compensation import (
    CONSTANTS,
    CRITERIA,
    DENSITIES,
    Errors,
    Optimum,
    best_compensation,
)
from mulfree.analysis.compensation_plot import save_compensation
from mulfree.analysis.output_scaling import output_scale, output_scaling
from mulfree.cli.errors import reported
from mulfree.cli.outputs import check_output
from mulfree.cli.screen import screen, titled
from mulfree.train import ConfigError
from mulfree.train.errors import writing

_ERRORS = ("α", "", "mean", "rms", "least", "greatest", "of the mean product")
"""Columns of an optimum."""
_TREATMENTS = {
    "none": "none",
    "alpha": "α within each product",
    "exact": "scale of the outputs, true product",
    "realised": "scale of the outputs, by PAM",
    "fitted": "best scale of these outputs",
}


def compensation(
    constant: Annotated[
        list[float] | None,
        typer.Option(help="A factor known ahead of time; may be repeated.", show_default=", ".join(CONSTANTS)),
    ] = None,
    output: Annotated[Path, typer.Option(help="PNG of the errors against α.")] = Path("compensation.png"),
) -> None:
    """Find the best α for pairs of factors and for known ones, and set it beside a scale of the outputs."""
    console = screen()
    with reported():
        constants = CONSTANTS if not constant else {f"{factor:.9g}": factor for factor in constant}
        check_output("--output", output, ".png")
        known = _constants(constants)
        console.print(_pairs())
        console.print(known)
        console.print(_dot_products())
        with writing(output):
            save_compensation(output)
        console.print(f"Wrote {output}", highlight=False, markup=False, soft_wrap=True)


def _pairs() -> Table:
    title = "Two varying factors: relative errors without α, then with the best one"
    table = titled(title, "mantissas", "criterion", *_ERRORS, words=2)
    for density in DENSITIES:
        for criterion in CRITERIA:
            optimum = best_compensation(criterion, density)
            table.add_row(density, criterion, f"{optimum.alpha:.7f}", "without\nwith", *_both(optimum))
        table.add_section()
    return table


def _constants(constants: dict[str, float]) -> Table:
    alpha, *errors = _ERRORS
    title = "A known factor and one with logarithmic mantissas"
    table = titled(title, "factor", "criterion", alpha, "factor and α in one", *errors, words=2)
    for name, factor in constants.items():
        for criterion in CRITERIA:
            try:
                optimum = best_compensation(criterion, "logarithmic", factor)
            except ValueError as error:
                raise ConfigError(str(error)) from None
            folded = f"{optimum.folded:.9g}"
            table.add_row(name, criterion, f"{optimum.alpha:.7f}", folded, "without\nwith", *_both(optimum))
        table.add_section()
    return table


def _dot_products() -> Table:
    scale = output_scale()
    table = titled(
        f"Dot products: α = {scale.alpha:.7f}, or outputs times {scale.exact:.7f}, by PAM times {scale.realised:.7f}",
        "operands", "length", "compensation", "bias", "rms error", words=3,
    )  # fmt: skip
    results = output_scaling()
    for result, following in zip(results, [*results[1:], None], strict=True):
        table.add_row(
            result.operands,
            str(result.length),
            _TREATMENTS[result.treatment],
            f"{100 * (result.gain - 1):+.3f} %",
            f"{100 * result.rms:.3f} %",
            end_section=following is None or following.length != result.length,
        )
    return table


def _both(optimum: Optimum) -> list[str]:
    """Cells of two lines: before and after."""
    return [f"{before}\n{after}" for before, after in zip(_cells(optimum.before), _cells(optimum.after), strict=True)]


def _cells(errors: Errors) -> list[str]:
    signed = (errors.least, errors.greatest, errors.product_mean)
    return [_signed(errors.mean), f"{100 * errors.rms:.3f} %", *map(_signed, signed)]


def _signed(error: float) -> str:
    percent = round(100 * error, 3)
    return f"{percent:+.3f} %" if percent else "0.000 %"
