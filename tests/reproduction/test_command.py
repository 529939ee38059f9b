"""``mulfree reproduce`` on a recipe of a few steps: one by one, in processes, interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mulfree.cli import app
from tests.tiny_recipe import TINY


@pytest.fixture
def task(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def arguments(task: str, output: Path, *more: str) -> list[str]:
    return ["reproduce", "table3", "--task", task, "--seeds", "1", "--output-dir", str(output), *more]


def scores(folder: Path) -> dict[tuple[str, str], list[float]]:
    """Of the places that are trained."""
    cells = json.loads((folder / "table3-tiny.json").read_text())["cells"]
    return {(cell["row"], cell["column"]): cell["scores"] for cell in cells if cell["scores"]}


def test_one_by_one_is_in_processes(task: str, tmp_path: Path) -> None:
    rows = ["--row", "loss", "--row", "optimizer"]
    one = CliRunner().invoke(app, arguments(task, tmp_path / "one", *rows, "--threads", "1"))
    assert one.exit_code == 0, one.output
    assert "paper" in one.output
    command = [sys.executable, "-m", "mulfree", *arguments(task, tmp_path / "two", *rows, "--processes", "2")]
    two = subprocess.run(command, capture_output=True, text=True, check=False)
    assert two.returncode == 0, two.stderr
    found = scores(tmp_path / "one")
    assert found == scores(tmp_path / "two")
    assert [row for row, _ in found] == ["baseline", "loss", "loss", "loss", "optimizer", "optimizer"]
    before = (tmp_path / "one/tiny/standard-seed0/result.json").stat().st_mtime_ns
    again = CliRunner().invoke(app, arguments(task, tmp_path / "one", *rows, "--threads", "1"))
    assert again.exit_code == 0
    assert (tmp_path / "one/tiny/standard-seed0/result.json").stat().st_mtime_ns == before


def test_showing_trains_nothing(task: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, arguments(task, tmp_path / "none", "--show"))
    assert result.exit_code == 0, result.output
    assert "0 of 14 runs are complete" in result.output  # two of the 15 places are one run
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--row", "softmax"), "no row 'softmax' in table3-tiny; there are baseline, matmul"),
        (("--seeds", "0"), "seeds must be at least 1, got 0"),
        (("--processes", "0"), "processes must be at least 1, got 0"),
        (("--threads", "-1"), "threads must be at least 1, got -1"),
        (("--set", "optimizer.rate=1"), "optimizer.rate is no setting"),
        (("--set", "optimizer.lr"), "expected NAME=VALUE, got 'optimizer.lr'"),
        (("--task", "iwslt"), "no recipe 'iwslt'"),
    ],
)
def test_what_is_wrong_is_named(task: str, tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, arguments(task, tmp_path / "out", *more))
    assert result.exit_code == 2
    assert message in result.stderr


def test_without_any_data_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULFREE_DATA", str(tmp_path))
    result = CliRunner().invoke(app, ["reproduce", "table5", "--output-dir", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "CIFAR-10" in result.stderr or "cifar" in result.stderr


def test_a_table_whose_other_column_lacks_data_is_written_again(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULFREE_DATA", str(tmp_path))
    command = ["reproduce", "table6", "--task", task, "--seeds", "1", "--row", "float32", "--threads", "1"]
    figure = tmp_path / "out/table6-tiny.json"
    for _ in range(2):
        result = CliRunner().invoke(app, [*command, "--output-dir", str(tmp_path / "out")])
        assert result.exit_code == 0, result.output
        assert "Left out cifar10-vgg13" in result.output
        assert json.loads(figure.read_text())["cells"]
        figure.unlink()


@pytest.mark.skipif(os.name != "posix", reason="signals of processes")
def test_an_interrupted_table_goes_on(task: str, tmp_path: Path) -> None:
    output, rows = tmp_path / "out", ["--set", "training.epochs=60"]
    command = [sys.executable, "-m", "mulfree", *arguments(task, output, *rows, "--processes", "2")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        begun = output / "tiny/standard-seed0/metrics.jsonl"
        deadline = time.monotonic() + 120
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "stopped" in errors
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    begun_runs = list(output.rglob("recipe.toml"))
    assert 1 <= len(begun_runs) <= 2  # those that wait never begin
    assert not list(output.rglob("result.json"))
    rest = [*command, "--row", "matmul"]
    whole = subprocess.run(rest, capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    assert [row for row, _ in scores(output)] == ["baseline", "matmul", "matmul", "matmul"]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_run_that_diverges_does_not_stop_the_others(task: str, tmp_path: Path, processes: str) -> None:
    output = tmp_path / "out"
    more = ["--row", "optimizer", "--set", "optimizer.lr=1e38", "--processes", processes, "--threads", "1"]
    command = [sys.executable, "-m", "mulfree", *arguments(task, output, *more)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stdout.count("the loss became") == 3, result.stdout
    assert "0 of 3 runs are complete" in result.stdout
    assert "Changed: optimizer.lr" in result.stdout


def test_a_run_that_diverged_is_trained_again_only_if_asked(task: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    more = ["--row", "loss", "--set", "optimizer.lr=1e38", "--threads", "1"]
    first = CliRunner().invoke(app, arguments(task, output, *more))
    assert first.exit_code == 1, first.output
    note = output / "tiny/loss-seed0/diverged.json"
    assert "the loss became" in json.loads(note.read_text())["reason"]
    before = note.stat().st_mtime_ns
    again = CliRunner().invoke(app, arguments(task, output, *more))
    assert again.exit_code == 0, again.output
    assert note.stat().st_mtime_ns == before
    assert "the loss became" not in again.output
    assert again.output.count("diverged │") == 4  # the baseline and three places of the row
    assert "--retry trains them again" in again.output
    assert "| loss | diverged | 33.7 [-0.7] ± 0.2 | diverged |" in (output / "table3-tiny.md").read_text()
    retried = CliRunner().invoke(app, arguments(task, output, *more, "--retry"))
    assert retried.exit_code == 1, retried.output
    assert retried.output.count("the loss became") == 4
    assert note.stat().st_mtime_ns > before
    listed = CliRunner().invoke(app, ["runs", str(output)])
    assert listed.output.count("diverged") == 4


def test_an_error_of_one_process_ends_all(task: str, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "tiny").write_text("a file where the folder of the runs should be")
    command = [sys.executable, "-m", "mulfree", *arguments(task, output, "--processes", "2")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "cannot" in result.stderr
    assert "Traceback" not in result.stderr
