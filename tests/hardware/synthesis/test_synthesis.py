"""Real syntheses: one in seconds, the whole table in the slow suite."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mulfree.hardware.rtl import yosys
from mulfree.hardware.rtl.yosys import YosysError
from mulfree.hardware.switching import LibertyError, Library, Stream
from mulfree.hardware.synthesis import Plan, Results, flows, measure, placement
from mulfree.hardware.synthesis.measure import Job
from mulfree.hardware.synthesis.recipes import FAMILIES, RECIPES
from tests.command_line import message
from tests.tiny_library import tiny_library

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'mulfree[hdl]'")
pytestmark = pytest.mark.skipif(not yosys.available(), reason=yosys.MISSING)


def test_pam_is_smaller_than_the_multiplier() -> None:
    pam, multiplier = (flows.to_gates(unit, "bfloat16", RECIPES[0], {}, 120) for unit in ("pam", "ieee_multiplier"))
    assert 0.25 < pam["transistors"] / multiplier["transistors"] < 0.5
    assert pam["depth"] < multiplier["depth"]


def test_library(tmp_path: Path) -> None:
    path = tmp_path / "tiny cells.lib"
    path.write_text(tiny_library(energies=True))
    streams = {"Gaussian": Stream.gaussian(), "training": Stream.gaussian(1)}
    small = flows.to_library("pam", "E4M3", RECIPES[0], path, streams, 120)
    large = flows.to_library("ieee_multiplier", "E4M3", RECIPES[0], path, streams, 120)
    assert 0 < small["area"] < large["area"]
    assert 0 < small["delay"] < large["delay"]
    for name in streams:
        assert 0 < small[f"energy, {name}"] < small[f"energy with glitches, {name}"]
        assert small[f"energy, {name}"] < large[f"energy, {name}"]
    other = flows.to_library("pad", "E4M3", RECIPES[0], path, streams, 120)
    assert [name for name in other if name.startswith("energy,")] == ["energy, Gaussian"]


def test_library_without_energies(tmp_path: Path) -> None:
    path = tmp_path / "plain.lib"
    path.write_text(tiny_library())
    plan = Plan(units=("pam",), formats=("E4M3",), liberties={"plain": path})
    results = measure(plan)
    assert results.failures["energies, liberty plain"] == "the library has no tables of internal_power"
    numbers = {name for point in results.of("pam", "E4M3", "liberty plain") for name in point.numbers}
    assert numbers == {"area", "delay", "cells"}


def test_sizes_stay_where_energies_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.lib"
    path.write_text(tiny_library(energies=True))

    def no_arc(*_: object) -> tuple[float, float]:
        raise LibertyError("no delay")

    monkeypatch.setattr(Library, "arc", no_arc)
    plan = Plan(units=("pam",), formats=("E4M3",), liberties={"tiny": path})
    results = measure(plan)
    points = results.of("pam", "E4M3", "liberty tiny")
    assert points
    assert all(set(point.numbers) == {"area", "delay", "cells"} for point in points)
    assert results.failures["pam, E4M3, liberty tiny, area, array"] == "no energies: no delay"
    monkeypatch.undo()
    other = measure(Plan(units=("pad",), formats=("E4M3",), streams={}), earlier=results)
    assert other.failures == results.failures  # still there, and tried again:
    again = measure(plan, earlier=other)
    assert not [name for name in again.failures if "energies" in again.failures[name]]
    assert all("energy, Gaussian" in point.numbers for point in again.of("pam", "E4M3", "liberty tiny"))


def test_libraries_that_yosys_reads_in_part(tmp_path: Path) -> None:
    """A latch without data, and a file that gzip has compressed."""
    latch = '  cell(LAT) { latch(Q,QN) { enable : "E"; } pin(E) { direction : input; capacitance : 0.01; } }\n'
    text = tiny_library(energies=True).rstrip().removesuffix("}") + latch + "}\n"
    (tmp_path / "tiny.lib.gz").write_bytes(gzip.compress(text.encode()))
    streams = {"Gaussian": Stream.gaussian()}
    numbers = flows.to_library("pam", "E4M3", RECIPES[0], tmp_path / "tiny.lib.gz", streams, 120)
    assert numbers["area"] > 0
    assert numbers["energy, Gaussian"] > 0


def test_blocks_multiply() -> None:
    plain = flows.to_fpga("ieee_multiplier", "E4M3", "ice40", blocks=False, routed=False, seconds=120)
    assert plain["blocks"] == 0
    assert plain["registers"] == 3 * 8
    assert flows.to_fpga("ieee_multiplier", "bfloat16", "ice40", blocks=True, routed=False, seconds=120)["blocks"] == 1
    assert flows.multiplies("ieee_multiplier", "E4M3")
    assert not flows.multiplies("pam", "E4M3")


@pytest.mark.skipif(not placement.available(), reason=placement.MISSING)
@pytest.mark.slow
def test_place_and_route() -> None:
    numbers = flows.to_fpga("pam", "E4M3", "ecp5", blocks=False, routed=True, seconds=300)
    assert 20 < numbers["fmax_low"] <= numbers["fmax"] <= numbers["fmax_high"]


def test_time_runs_out() -> None:
    with pytest.raises(YosysError, match="took longer"):
        flows.to_gates("ieee_multiplier", "float32", RECIPES[1], {}, 0.2)


def test_failures_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "empty.lib").write_text("library(nothing) { }\n")
    plan = Plan(units=("pam",), formats=("E4M3",), liberties={"empty": tmp_path / "empty.lib"})
    results = measure(plan)
    assert [point.target for point in results.points] == ["gates"] * 3
    assert len(results.failures) == 4
    assert all("liberty empty" in name for name in results.failures)


def test_what_is_known_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is interrupted goes on; other recipes, libraries, operands and tools are measured anew."""
    plan = Plan(units=("pam", "pad"), formats=("E4M3",), streams={})
    kept: list[Results] = []

    def stop_at_pad(job: Job) -> None:
        if job.unit == "pad":
            raise SystemExit

    with pytest.raises(SystemExit):
        measure(plan, stop_at_pad, None, kept.append)
    known = Results.from_data(json.loads(json.dumps(kept[-1].to_data())))
    assert {point.unit for point in known.points} == {"pam"}

    made: list[str] = []

    def to_gates(unit: str, *rest: object) -> dict[str, float]:
        made.append(unit)
        return {"transistors": 1.0, "depth": 1.0}

    monkeypatch.setattr(flows, "to_gates", to_gates)
    kept.clear()
    whole = measure(plan, earlier=known, keep=kept.append)
    assert set(made) == {"pad"}
    assert {point.unit for point in whole.points} == {"pam", "pad"}
    other = measure(Plan(units=("pad",), formats=("E4M3",), streams={}), earlier=whole, keep=kept.append)
    assert sorted(map(str, other.points)) == sorted(map(str, whole.points)) == sorted(map(str, kept[-1].points))
    made.clear()
    energetic = measure(replace(plan, streams={"Gaussian": Stream.gaussian()}), earlier=whole)
    assert set(made) == {"pam", "pad"}
    assert len(energetic.points) == len(whole.points)  # those without energies are replaced
    made.clear()
    old = replace(whole, points=[replace(point, tools="Yosys 0.1") for point in whole.points])
    new = measure(Plan(units=("pad",), formats=("E4M3",), streams={}), earlier=old)
    assert set(made) == {"pad"}
    assert {point.unit: point.tools for point in new.points}["pam"] == "Yosys 0.1"  # others stay


def test_command(tmp_path: Path) -> None:
    arguments = ("--unit", "pam", "--unit", "ieee_multiplier", "--format", "E4M3")
    output = message("hardware", "cost", *arguments, "--output", str(tmp_path), code=0)
    assert "IEEE multiplier" in output
    data = json.loads((tmp_path / "hardware-cost.json").read_text())
    assert {point["target"] for point in data["points"]} == {"gates"}
    assert (tmp_path / "hardware-cost.md").read_text().startswith("# Measured cost")
    before = data["points"]
    assert "Wrote" in message("hardware", "cost", *arguments, "--output", str(tmp_path), code=0)
    again = json.loads((tmp_path / "hardware-cost.json").read_text())
    assert (again["points"], again["about"]) == (before, data["about"])
    (tmp_path / "hardware-cost.json").write_text("{}")
    assert "no results of" in message("hardware", "cost", *arguments, "--output", str(tmp_path), code=2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--unit", "pam_mac"), "--unit must be one of pam,"),
        (("--format", "float8"), "--format: format must be"),
        (("--liberty", "nothing.lib"), "--liberty: no file nothing.lib"),
        (("--fpga", "virtex"), "--fpga must be one of ecp5, ice40, xilinx, got 'virtex'"),
        (("--place",), "--place goes with --fpga ecp5"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], text: str) -> None:
    assert text in message("hardware", "cost", *arguments, code=2)


def test_the_folder_of_results_is_made(tmp_path: Path) -> None:
    arguments = ("hardware", "cost", "--unit", "pam", "--format", "E3M1", "--output")
    folder = tmp_path / "new" / "folder"
    assert "Wrote" in message(*arguments, str(folder), code=0)
    assert {path.name for path in folder.iterdir()} == {"hardware-cost.json", "hardware-cost.md"}
    file = folder / "hardware-cost.md"
    assert f"--output: cannot make the folder {file}" in message(*arguments, str(file), code=1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_table() -> None:
    results = measure(Plan(families=tuple(FAMILIES), seconds=600))
    assert not results.failures
    for unit, format, low, high in (
        ("pam", "float32", 0.07, 0.15),
        ("pam", "float16", 0.15, 0.30),
        ("pam", "bfloat16", 0.25, 0.45),
        ("pam_multiply_add", "float32", 0.25, 0.45),
        ("pam_multiply_add", "bfloat16", 0.6, 0.9),
    ):
        ratio = results.ratio(unit, format, "gates", "size")
        assert ratio is not None
        assert low < ratio < high, (unit, format)
