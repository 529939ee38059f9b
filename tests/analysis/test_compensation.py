"""Section 2.7: the best compensations, against all pairs of short mantissas by the law, and against themselves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

import mulfree.functional as MF
from mulfree.analysis.compensation import (
    CONSTANTS,
    CRITERIA,
    DENSITIES,
    Criterion,
    Density,
    Errors,
    best_compensation,
    errors,
)
from mulfree.analysis.compensation_plot import save_compensation
from mulfree.analysis.output_scaling import output_scale, output_scaling
from mulfree.cli.compensation import compensation
from mulfree.numerics import scalar
from mulfree.numerics.formats import ONE

FACTORS = (None, 1.0, 1 / 3, math.log2(math.e), 1.5, 1.96875)
COARSE = [ONE + (2 * m + 1) * 2**14 for m in range(256)]
"""Middles of the 256 intervals of 8-bit mantissas."""
GRID_ERROR = 4e-6
"""Of means by the midpoint rule: h**2 / 24 = 6e-7 times second derivatives, and corners; 1.6e-6 is the most found."""


def enumerated(alpha: float, density: Density, constant: float | None) -> Errors:
    """By ``scalar.mul``, over all (pairs of) mantissas in ``COARSE``."""
    offset = scalar.compensation_offset(scalar.bits(alpha))
    others = COARSE if constant is None else [scalar.bits(constant)]
    products = np.array([[scalar.value(scalar.mul(a, b, offset)) for b in others] for a in COARSE])
    varying = np.array([scalar.value(a) for a in COARSE])
    known = np.array([scalar.value(b) for b in others])
    density_of = np.ones_like(varying) if density == "uniform" else 1 / varying
    weights = np.outer(density_of, density_of if constant is None else np.ones(1))
    weights /= weights.sum()
    true = np.outer(varying, known)
    r = products / true - 1
    mean, square = float((weights * r).sum()), float((weights * r**2).sum())
    bias = float((weights * products).sum() / (weights * true).sum()) - 1
    return Errors(mean, math.sqrt(square), min(0.0, float(r.min())), max(0.0, float(r.max())), bias)


def objective(criterion: Criterion, found: Errors) -> float:
    return {
        "mean": abs(found.mean),
        "mean square": found.rms,
        "worst case": found.worst,
        "product mean": abs(found.product_mean),
    }[criterion]


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("constant", FACTORS)
@pytest.mark.parametrize("alpha", [0.75, 0.96, 1.0, 1.0625, 1.3, 1.9])
def test_errors_are_those_of_the_law(alpha: float, constant: float | None, density: Density) -> None:
    found, expected = errors(alpha, density, constant), enumerated(alpha, density, constant)
    assert found.mean == pytest.approx(expected.mean, abs=GRID_ERROR)
    assert found.rms == pytest.approx(expected.rms, abs=GRID_ERROR)
    assert found.product_mean == pytest.approx(expected.product_mean, abs=GRID_ERROR)
    # The grid misses the extremes by at most half a step of each mantissa, and slopes are below 2.
    assert -1e-7 <= expected.least - found.least < 2 / 256
    assert -1e-7 <= found.greatest - expected.greatest < 2 / 256


@pytest.mark.parametrize("constant", [None, 1.0, 1.3125, 1.5, 1.96875])
@pytest.mark.parametrize("alpha", [0.5, 0.75, 0.96875, 1.0, 1.0625, 1.375, 1.9375])
def test_extremes_are_those_of_the_law(alpha: float, constant: float | None) -> None:
    """For such numbers the extremes lie on the grid of 8-bit mantissas, where PAM is exactly the law."""
    grid = [ONE + m * 2**15 for m in range(256)]
    offset = scalar.compensation_offset(scalar.bits(alpha))
    others = grid if constant is None else [scalar.bits(constant)]
    ratios = [
        scalar.value(scalar.mul(a, b, offset)) / (scalar.value(a) * scalar.value(b)) - 1 for a in grid for b in others
    ]
    found = errors(alpha, "uniform", constant)
    assert found.least == pytest.approx(min(0.0, *ratios), abs=1e-14)
    assert found.greatest == pytest.approx(max(0.0, *ratios), abs=1e-14)


def test_without_compensation() -> None:
    found = errors(1.0)
    assert found.least == pytest.approx(-1 / 9, abs=1e-15)
    assert found.greatest == 0
    assert found.mean == pytest.approx(-0.0385, abs=5e-5)
    assert found.product_mean == pytest.approx(13 / 6 / 2.25 - 1, abs=1e-14)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("constant", FACTORS)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_nothing_near_or_far_is_better(criterion: Criterion, constant: float | None, density: Density) -> None:
    optimum = best_compensation(criterion, density, constant)
    best = objective(criterion, optimum.after)
    assert best <= objective(criterion, optimum.before)
    assert optimum.alpha == scalar.value(scalar.bits(optimum.alpha))
    others = [optimum.alpha - 1e-3, optimum.alpha + 1e-3, *np.linspace(0.9, 1.3, 81).tolist()]
    assert all(objective(criterion, errors(alpha, density, constant)) >= best - 1e-7 for alpha in others)
    if criterion in ("mean", "product mean"):
        assert best < 1e-7


def test_closed_forms() -> None:
    alpha = best_compensation("worst case").alpha
    assert (2 - alpha) * (4 - alpha) ** 2 == pytest.approx(8, abs=2e-6)
    alpha = best_compensation("product mean").alpha
    assert alpha**3 + 6 * alpha == pytest.approx(7.5, abs=1e-6)


@pytest.mark.parametrize("mantissa", [2**-20, 1 / 128, 0.25, 0.4375, 0.5, 0.75, 0.99609375])
def test_closed_form_of_constants(mantissa: float) -> None:
    alpha = pytest.approx(1 + (3 - math.sqrt(9 - 4 * mantissa * (1 - mantissa))) / 2, abs=2e-7)
    assert best_compensation("worst case", "uniform", 1 + mantissa).alpha == alpha
    assert best_compensation("worst case", "logarithmic", 1 + mantissa).alpha == alpha
    assert best_compensation("mean square", "logarithmic", 1 + mantissa).alpha == alpha


def test_two_questions_with_one_answer() -> None:
    assert best_compensation("mean", "uniform").alpha == best_compensation("product mean", "logarithmic").alpha


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("constant", [1.0, 0.25, 2.0**100])
def test_powers_of_two_need_none(constant: float, criterion: Criterion, density: Density) -> None:
    optimum = best_compensation(criterion, density, constant)
    assert optimum.alpha == 1
    assert optimum.folded == constant
    assert optimum.after.worst == 0


def test_the_exponent_of_a_constant_does_not_matter() -> None:
    one, other = (best_compensation("mean square", "logarithmic", factor) for factor in (1.5, 1.5 * 2.0**-60))
    assert (one.alpha, one.after) == (other.alpha, other.after)


@pytest.mark.parametrize("constant", CONSTANTS.values())
def test_the_folded_constant_is_the_compensated_product(constant: float) -> None:
    optimum = best_compensation("mean square", "logarithmic", constant)
    assert optimum.folded is not None
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(MF.mul(x, constant, compensation=optimum.alpha), MF.mul(x, optimum.folded))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(((("mean", "uniform", bad)), "constant must be") for bad in (0.0, -1.5, math.inf, -math.inf, math.nan)),
        (("mean", "uniform", 1e-40), "constant must be"),
        (("mean", "uniform", 1e39), "constant must be"),
        (("mean", "normal", None), "density must be"),
        (("median", "uniform", None), "criterion must be"),
    ],
)
def test_bad_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_compensation(*arguments)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 2.0, -1.0, math.inf, math.nan])
def test_bad_alpha(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be"):
        errors(alpha)


def test_the_realised_scale_scales() -> None:
    """By PAM, over all mantissas of ten bits, Benford's weights."""
    scale = output_scale("logarithmic")
    x = 1 + (torch.arange(1024, dtype=torch.float32) + 0.5) / 1024
    ratio = MF.mul(x, scale.realised).double() / x.double()
    assert float((ratio / x).sum() / (1 / x).sum()) == pytest.approx(scale.exact, abs=1e-6)


def test_dot_products() -> None:
    results = {(r.operands, r.length, r.treatment): r for r in output_scaling((8, 512), side=96)}
    assert len(results) == 3 * 2 * 5
    for (operands, length, treatment), result in results.items():
        none = results[operands, length, "none"]
        assert -0.045 < none.gain - 1 < -0.03
        if treatment != "none":
            assert abs(result.gain - 1) < 0.006
            assert result.rms < none.rms
        assert results[operands, length, "fitted"].rms <= results[operands, length, "exact"].rms
    # A sum of positive products averages their errors, which leaves the bias; one around zero does not.
    assert results["both ReLU", 512, "exact"].rms < 0.5 * results["both ReLU", 8, "exact"].rms
    assert results["normal", 512, "exact"].rms > 0.9 * results["normal", 8, "exact"].rms
    assert output_scaling((8,), side=16) == output_scaling((8,), side=16)


@pytest.mark.parametrize("arguments", [{"lengths": (4, 0)}, {"side": 0}])
def test_bad_sizes(arguments: Any) -> None:
    with pytest.raises(ValueError, match="lengths and side must be positive"):
        output_scaling(**arguments)


@pytest.mark.parametrize("constant", [None, 1.5])
def test_figure(tmp_path: Path, constant: float | None) -> None:
    save_compensation(tmp_path / "errors.png", constant)
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


def run(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(compensation)
    return CliRunner().invoke(app, arguments)


def test_command(tmp_path: Path) -> None:
    result = run("--constant", "3", "--constant", "0.7", "--output", str(tmp_path / "errors.png"))
    assert result.exit_code == 0, result.output
    assert "1.0688576" in result.output
    assert "log2(e)" not in result.output
    assert (tmp_path / "errors.png").stat().st_size > 0


def test_command_refuses(tmp_path: Path) -> None:
    refused = run("--constant", "0", "--output", str(tmp_path / "errors.png"))
    assert refused.exit_code == 2
    assert "constant must be positive" in refused.output
    missing = run("--output", str(tmp_path / "none" / "errors.png"))
    assert missing.exit_code == 2
    assert not list(tmp_path.iterdir())
