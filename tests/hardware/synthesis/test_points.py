"""Ratios, Pareto points, the paper's figures, tables and measured areas, on made-up points."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mulfree.hardware.synthesis import Plan, Point, Results, jobs, minimum, pareto
from mulfree.hardware.synthesis.areas import Areas
from mulfree.hardware.synthesis.plot import save_sweep, widths
from mulfree.hardware.synthesis.points import published
from mulfree.hardware.synthesis.report import frontier, markdown, programmed, summary
from tests.command_line import message
from tests.tiny_recipe import TINY

_UNITS = {"pam": 10, "ieee_multiplier": 40, "pam_multiply_add": 30, "ieee_multiply_add": 60}


def _gates(unit: str, format: str, recipe: str, transistors: float, depth: float) -> Point:
    return Point(unit, format, "gates", recipe, {"transistors": transistors, "depth": depth})


def _luts(unit: str, target: str, luts: float, **more: float) -> Point:
    return Point(unit, "float32", target, "synth_ecp5", {"luts": luts, "blocks": 0, "registers": 8, **more})


@pytest.fixture
def results() -> Results:
    points = [
        _gates(unit, format, recipe, size * weight, 90 / min(weight, 3))
        for format in ("float32", "float16")
        for unit, size in _UNITS.items()
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
    assert published("pad", "float32") is published("pam", "E8M4") is None


def test_tables(results: Results) -> None:
    assert summary(results).rows[0] == ("float32", "PAM", "3.6 %", "25 %", "20 %", "200 %")
    fpgas = programmed(results)
    assert fpgas is not None
    assert fpgas.rows[0] == ("ECP5", "float32 PAM", "100", "0", "8", "120", "20 %", "200 %", "300 %")
    assert len(frontier(results).rows) == 16  # of three points each, one is beaten
    page = markdown(results)
    for text in (
        "- command: mulfree hardware cost",
        "versions: Yosys 0.70",
        "- x: timed out\n",
        "| float32 | PAM | 3.6 %",
    ):
        assert text in page


def test_data_goes_through_a_file(results: Results) -> None:
    assert Results.from_data(json.loads(json.dumps(results.to_data()))) == results
    for data in ({}, {"points": [{}]}, {"points": [], "failures": None, "versions": {}, "about": {}}):
        with pytest.raises(ValueError, match="no results"):
            Results.from_data(data)


def test_plot(results: Results, tmp_path: Path) -> None:
    results.points += [_gates(unit, "E8M4", "area", size, 9) for unit, size in _UNITS.items()]
    assert widths(results) == {4: "E8M4", 23: "float32"}
    save_sweep(tmp_path / "sweep.png", results)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_cost_takes_measured_areas(results: Results, tmp_path: Path) -> None:
    measured, recipe, data = tmp_path / "measured.json", tmp_path / "tiny.toml", tmp_path / "cost.json"
    recipe.write_text(TINY)
    measured.write_text(json.dumps(results.to_data()))
    output = message("cost", str(recipe), "--measured", str(measured), "--json", str(data), code=0)
    assert "40 transistors" in output
    assert "Areas are measured (gates, transistors" in output
    assert json.loads(data.read_text())["measured_areas"]["areas"]["multiplier"]["float32"]["piecewise_affine"] == 10
    assert Areas.read(measured).of("multiply-accumulate", "float16") == (60, 30)
    results.points = [point for point in results.points if point.format != "float16"]
    measured.write_text(json.dumps(results.to_data()))
    assert "has no ieee_multiplier in float16" in message("cost", str(recipe), "--measured", str(measured), code=2)
    assert "--measured" in message("cost", str(recipe), "--measured", str(recipe), code=2)


def test_jobs_are_done_once() -> None:
    pytest.importorskip("amaranth")
    names = [str(job) for job in jobs(Plan(units=("pam", "ieee_multiplier"), formats=("E8M4",), widths=(4,)))]
    assert len(names) == len(set(names)) == 3 + 5  # without a multiplication Booth's recipes are the others
