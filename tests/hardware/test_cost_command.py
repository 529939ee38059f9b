"""``mulfree cost``: figures, files and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import message
from tests.tiny_recipe import TINY


def _output(*arguments: str, code: int = 0) -> str:
    return message("cost", *arguments, code=code)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def _data(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    path = tmp_path / "cost.json"
    _output(*arguments, "--json", str(path))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_tables_and_files(tmp_path: Path, tiny: str) -> None:
    picture = tmp_path / "cost.png"
    output = _output(tiny, "--output", str(picture))
    for text in ("backward", "training step, 8 items", "epoch, 3 steps", "training, 9 steps", "inference, one item"):
        assert text in output
    for ratio in ("5.4 %", "3.6 %", "18.2 %", "16.7 %", "23.9 %", "37.5 %", "55.0 %", "76.5 %"):
        assert ratio in output
    assert "Left out: memory" in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_figures_agree_with_each_other(tmp_path: Path, tiny: str) -> None:
    data = _data(tmp_path, tiny)
    total = data["step"]["total"]
    work, additions = total["work"], total["additions"] + total["work"]["additions"]
    for format, price in (("float32", 3.7), ("float16", 1.1)):
        energies = data["energy_pJ"][format]
        step = energies["step"]
        assert step["standard"]["total"] == pytest.approx(price * work["replaced"] + 0.9 * additions)
        affine = work["products"] + work["quotients"] + work["powers"] + work["logarithms"]
        assert step["piecewise_affine"]["total"] == pytest.approx(0.2 * affine + 0.9 * additions)
        assert step["ratio"] == pytest.approx(step["piecewise_affine"]["total"] / step["standard"]["total"])
        for name, steps in (("epoch", 3), ("training", 9)):
            assert energies[name]["standard"]["total"] == pytest.approx(steps * step["standard"]["total"])
        assert energies["inference"]["standard"]["total"] < step["standard"]["total"] / (2 * 8)
    assert set(data["step"]["phases"]) == {"forward", "backward", "optimizer"}
    assert data["arithmetic"] == "full"


def test_memory_narrows_the_gap(tmp_path: Path, tiny: str) -> None:
    ratios = [
        _data(tmp_path, tiny, "--memory", memory)["energy_pJ"]["float32"]["step"]["ratio"]
        for memory in ("none", "8kB", "32kB", "1MB", "dram")
    ]
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.5
    assert 0.9 < ratios[-1] < 1
    assert "1950 pJ for 64 bits, the middle of 1300 to 2600" in _output(tiny, "--memory", "dram")


def test_options_change_the_recipe(tmp_path: Path, tiny: str) -> None:
    whole, half = _data(tmp_path, tiny), _data(tmp_path, tiny, "--batch-size", "4")
    assert (whole["step"]["items"], half["step"]["items"]) == (8, 4)
    forward, less = (data["inference"]["total"]["work"]["products"] for data in (whole, half))
    assert forward == 2 * less
    assert half["steps_per_epoch"] == 6
    wider = _data(tmp_path, tiny, "--set", "task.width=16")
    assert wider["step"]["total"]["work"]["products"] > 2 * whole["step"]["total"]["work"]["products"]


def test_a_recipe_of_another_arithmetic_is_counted_without_multiplications(tmp_path: Path) -> None:
    path = tmp_path / "matmul.toml"
    path.write_text(TINY.replace('policy = "full"', 'policy = "matmul"'))
    assert _data(tmp_path, str(path))["step"]["total"]["multiplications"] == 0
    assert "Multiplications left" in _output(str(path), "--set", "arithmetic.policy=matmul")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "no recipe 'nothing'"),
        (("tiny", "--batch-size", "0"), "task.batch_size"),
        (("tiny", "--set", "task.batchsize=3"), "task.batchsize is no setting"),
        (("tiny", "--set", "task.width"), "expected NAME=VALUE"),
        (("tiny", "--set", "arithmetic.policy=standard"), "arithmetic: nothing is replaced"),
        (("tiny", "--memory", "tape"), "tape"),
        (("tiny", "--threads", "0"), "threads must be at least 1"),
        (("tiny", "--json", "missing/cost.json"), "no folder missing"),
        (("tiny", "--output", "."), ". is a folder"),
        (("cifar10-resnet20", "--set", "task.data_dir=/missing"), "/missing"),
    ],
)
def test_errors(tiny: str, arguments: tuple[str, ...], message: str) -> None:
    recipe, *options = arguments
    output = _output(tiny if recipe == "tiny" else recipe, *options, code=2)
    assert message in " ".join(output.replace("│", " ").split())


def test_files_that_cannot_be_written(tmp_path: Path, tiny: str) -> None:
    for option in ("--json", "--output"):
        output = _output(tiny, option, str(tmp_path / ("x" * 300)), code=1)
        assert "xxx" in output.replace("\n", "")
