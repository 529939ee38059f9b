"""Ratios, Pareto points, the paper's figures, tables and measured areas, on made-up points."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mulfree.hardware.synthesis import Plan, Point, Results, jobs, minimum, pareto
from mulfree.hardware.synthesis.measured import Measured
from mulfree.hardware.synthesis.plot import save_sweep, widths
from mulfree.hardware.synthesis.points import published
from mulfree.hardware.synthesis.report import energies, frontier, markdown, programmed, summary
from tests.command_line import message
from tests.tiny_recipe import TINY

_UNITS = {"pam": 10, "ieee_multiplier": 40, "pam_multiply_add": 30, "ieee_multiply_add": 60}
_OTHERS = {"pad": 4, "exp2": 8, "log2": 20}


def _gates(unit: str, format: str, recipe: str, transistors: float, depth: float) -> Point:
    numbers = {"transistors": transistors, "depth": depth}
    numbers |= {"energy, Gaussian": transistors / depth, "energy with glitches, Gaussian": 3 * transistors}
    return Point(unit, format, "gates", recipe, numbers)


def _luts(unit: str, target: str, luts: float, **more: float) -> Point:
    return Point(unit, "float32", target, "synth_ecp5", {"luts": luts, "blocks": 0, "registers": 8, **more})


@pytest.fixture
def results() -> Results:
    points = [
        _gates(unit, format, recipe, size * weight, 90 / min(weight, 3))
        for format in ("float32", "float16")
        for unit, size in {**_UNITS, **_OTHERS}.items()
        for recipe, weight in (("area", 1), ("delay", 3), ("worse", 4))
    ]
    fpga = [
        _luts("pam", "ECP5", 100, fmax=120.0),
        _luts("ieee_multiplier", "ECP5", 500, fmax=40.0),
        _luts("ieee_multiplier", "ECP5 + blocks", 50),
    ]
    return Results(points + fpga, {"x": "timed out\nlong"}, {"Yosys": "0.70"}, {"command": "mulfree hardware cost"})


def test_ratios(results: Results) -> None:
    assert results.ratio("pam", "float32", "gates", "size") == 0.25
    assert results.ratio("pam_multiply_add", "float16", "gates", "size") == 0.5
    assert results.ratio("pam", "float32", "ECP5", "fmax") == 3.0
    assert results.ratio("pam", "float32", "ECP5 + blocks", "luts") == 2.0
    assert results.ratio("ieee_multiplier", "float32", "gates", "size") is None
    assert results.ratio("pam", "bfloat16", "gates", "size") is None


def test_pareto() -> None:
    points = [
        _gates("pam", "float32", str(size), size, time) for size, time in ((3, 3), (1, 9), (2, 9), (2, 5), (4, 3))
    ]
    assert [point.recipe for point in pareto(points)] == ["1", "2", "3"]
    assert minimum([], "size") is None


def test_the_paper() -> None:
    """Appendix B."""
    assert published("pam", "float32") == pytest.approx(274 / 7700)
    assert published("pam", "bfloat16") == published("pam", "float16") == pytest.approx(274 / 1640)
    assert published("pam_multiply_add", "float32") == pytest.approx((274 + 4184) / (7700 + 4184))
    assert published("pam", "float32", "energy") == pytest.approx(0.2 / 3.7)
    assert published("pad", "float32") is published("pam", "E8M4") is None


def test_tables(results: Results) -> None:
    assert summary(results).rows[0] == ("float32", "PAM", "3.6 %", "25 %", "20 %", "200 %")
    fpgas = programmed(results)
    assert fpgas is not None
    assert fpgas.rows[0] == ("ECP5", "float32 PAM", "100", "0", "8", "120", "20 %", "200 %", "300 %")
    assert len(frontier(results).rows) == 28  # of three points each, one is beaten
    page = markdown(results)
    for text in (
        "- command: mulfree hardware cost",
        "versions: Yosys 0.70",
        "- x: timed out long\n",
        "| float32 | PAM | 3.6 %",
    ):
        assert text in page


def test_data_goes_through_a_file(results: Results) -> None:
    assert Results.from_data(json.loads(json.dumps(results.to_data()))) == results
    results.points[0] = replace(results.points[0], numbers={})
    with pytest.raises(ValueError, match="pam, float32, gates, area has no size"):
        Results.from_data(results.to_data())
    for data in ({}, {"points": [{}]}, {"points": [], "failures": None, "versions": {}, "about": {}}):
        with pytest.raises(ValueError, match="no results"):
            Results.from_data(data)


def test_plot(results: Results, tmp_path: Path) -> None:
    results.points += [_gates(unit, "E8M4", "area", size, 9) for unit, size in _UNITS.items()]
    assert widths(results) == {4: "E8M4", 23: "float32"}
    save_sweep(tmp_path / "sweep.png", results)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_cost_takes_measured_areas_and_energies(results: Results, tmp_path: Path) -> None:
    measured, recipe, data = tmp_path / "measured.json", tmp_path / "tiny.toml", tmp_path / "cost.json"
    recipe.write_text(TINY)
    measured.write_text(json.dumps(results.to_data()))
    output = message("cost", str(recipe), "--measured", str(measured), "--json", str(data), code=0)
    assert "40 transistors" in output
    assert "Areas are measured (gates, transistors" in output
    assert "two int32 additions" not in output
    found = json.loads(data.read_text())
    assert found["measured"]["areas"]["multiplier"]["float32"]["piecewise_affine"] == 10
    assert found["measured"]["energy_pJ"]["float16"] == pytest.approx(
        {"products": 1.1 / 4, "quotients": 1.1 / 10, "powers": 1.1 / 5, "logarithms": 1.1 / 2}
    )
    work, energy = found["step"]["total"]["work"], found["energy_pJ"]["float32"]["step"]["piecewise_affine"]
    assert energy["products"] == pytest.approx(3.7 / 4 * work["products"])
    others = work["quotients"] / 10 + work["powers"] / 5 + work["logarithms"] / 2
    assert energy["other"] == pytest.approx(3.7 * others)
    assert Measured.read(measured).areas("multiply-accumulate", "float16") == (60, 30)


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        (lambda point: point.format == "float16", "has no ieee_multiplier in float16"),
        (lambda point: point.unit == "exp2", "has no energies of exp2"),
        (lambda point: point.target == "gates", "has neither the cells of a library nor gates"),
    ],
)
def test_measured_files_that_lack_something(
    results: Results, tmp_path: Path, left_out: Callable[[Point], bool], text: str
) -> None:
    measured, recipe = tmp_path / "measured.json", tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    results.points = [point for point in results.points if not left_out(point)]
    measured.write_text(json.dumps(results.to_data()))
    assert text in message("cost", str(recipe), "--measured", str(measured), code=2)
    assert "--measured" in message("cost", str(recipe), "--measured", str(recipe), code=2)


def test_energies(results: Results) -> None:
    """Without glitches the ratio is that of the recipe with the least energy, and so it is with them."""
    (sheet,) = energies(results)
    assert sheet.columns == ("format", "unit", "paper", "Gaussian: transistors switched", "by IEEE's")
    assert sheet.rows[0] == ("float32", "PAM", "5.4 %", "0.111 to 30", "25 % to 25 %")
    assert sheet.rows[1][-1] == ""
    results.points = [point for point in results.points if "luts" in point.numbers]
    assert energies(results) == []


def test_jobs_are_done_once() -> None:
    pytest.importorskip("amaranth")
    names = [str(job) for job in jobs(Plan(units=("pam", "ieee_multiplier"), formats=("E8M4",), widths=(4,)))]
    assert len(names) == len(set(names)) == 3 + 5  # without a multiplication Booth's recipes are the others
