"""Tables and files of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import report
from benchmarks.harness import Result


def _result(ratio: float, target: float | None) -> Result:
    return Result("g", "work", "normal", "torch", "s", 0.002, 0.002 * ratio, ratio, ratio, target, 5)


def test_a_target_is_met_when_the_ratio_reaches_it() -> None:
    assert _result(1.4, 1.4).met is True
    assert _result(1.39, 1.4).met is False
    assert _result(1.0, None).met is None


def test_cells_carry_units_and_the_verdict() -> None:
    assert report.cells(_result(0.5, 0.7)) == (
        "work", "normal", "torch", "2 ms", "1 ms", "0.50x", ">= 0.7x", "no",
    )  # fmt: skip


def test_files_name_machine_versions_and_command(tmp_path: Path) -> None:
    machine = report.describe_machine(2, "the command")
    paths = report.write(machine, [_result(2.0, 1.0)], tmp_path / "results")
    data = json.loads(paths[0].read_text())
    assert data["results"][0]["met"] is True
    assert data["machine"]["command"] == "the command"
    assert all(data["machine"].values())
    assert "| work | normal | torch | 2 ms | 4 ms | 2.00x | >= 1x | yes |" in paths[1].read_text()
    assert paths[0].stem.endswith(machine.target)
