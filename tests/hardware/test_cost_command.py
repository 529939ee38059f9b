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
        output = _output(tiny, option, str(tmp_path / ("x" * 300 + ".png")), code=1)
        assert "xxx" in output.replace("\n", "")


LAYER = (
    "--model", "torch.nn:Linear", "--argument", "in_features=4", "--argument", "out_features=3", "--input-shape", "4",
)  # fmt: skip


def test_a_model_is_counted_by_its_shapes(tmp_path: Path) -> None:
    data = _data(tmp_path, *LAYER, "--batch-size", "5", "--loss", "mse", "--set", "optimizer.kind=sgd")
    assert data["inference"]["total"]["work"]["products"] == 5 * 4 * 3
    products = {name: phase["work"]["products"] for name, phase in data["step"]["phases"].items()}
    assert set(products) == {"forward", "backward", "optimizer"}
    assert products["forward"] == 5 * 4 * 3 + 5 * 3  # scores, and squares of their errors
    assert products["backward"] >= 5 * 4 * 3  # of the weights; inputs have no gradient
    assert data["step"]["total"]["multiplications"] == 0
    assert data["step"]["items"] == 5
    assert set(data["energy_pJ"]["float32"]) == {"step", "inference"}
    assert data["steps_per_epoch"] is None
    assert data["recipe"] == "torch.nn:Linear(in_features=4, out_features=3)"


def test_a_model_of_a_recipe_costs_what_the_recipe_does(tmp_path: Path) -> None:
    network = '[task]\nkind = "digits"\nbatch_size = 4\nlabel_smoothing = 0.0\ndropout = 0.0'
    path = tmp_path / "plain.toml"
    path.write_text(TINY.replace('[task]\nkind = "digits"\nbatch_size = 8', network).replace("dropout = 0.1\n", ""))
    options = ("width=8", "depth=1", "heads=2", "patch_size=4")
    arguments = [part for option in options for part in ("--argument", option)]
    model = _data(
        tmp_path, "--model", "mulfree.models.vit:VisionTransformer", *arguments, "--input-shape", "1,8,8",
        "--batch-size", "4",
    )  # fmt: skip
    recipe = _data(tmp_path, str(path))
    for what in ("step", "inference"):
        assert model[what]["total"] == recipe[what]["total"]


def test_tables_and_figure_of_a_model(tmp_path: Path) -> None:
    picture = tmp_path / "cost.png"
    output = _output(*LAYER, "--output", str(picture))
    assert "training step, 8 items" in output
    assert "epoch" not in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_model_without_piecewise_affine_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import torch\nclass Waves(torch.nn.Linear):\n def forward(self, x): return torch.sin(super().forward(x))\n"
    (tmp_path / "waves_of_test.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    arguments = ("waves_of_test:Waves", "--argument", "in_features=4", "--argument", "out_features=3")
    output = _output("--model", *arguments, "--input-shape", "4", code=2)
    assert "has no piecewise affine form: torch.sin" in " ".join(output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--memory", "dram"), "give either a recipe or --model"),
        (("digits", *LAYER), "give either a recipe or --model"),
        (("digits", "--input-shape", "3"), "--input-shape goes with --model"),
        (("digits", "--tokens", "3"), "--tokens goes with --model"),
        (LAYER[:-2], "--model needs --input-shape"),
        ((*LAYER, "--input-shape", "3,x"), "--input-shape must be whole numbers between commas"),
        ((*LAYER, "--input-shape", ""), "--input-shape must be whole numbers between commas"),
        ((*LAYER, "--input-shape", "0"), "task.input_shape.0"),
        ((*LAYER, "--input-shape", "5"), "task.input_shape: torch.nn:Linear cannot be run"),
        ((*LAYER, "--argument", "bias"), "--argument: expected NAME=VALUE, got 'bias'"),
        ((*LAYER, "--argument", "size=3"), "task.arguments: torch.nn:Linear("),
        ((*LAYER, "--batch-size", "0"), "task.batch_size"),
        ((*LAYER, "--tokens", "-1"), "task.tokens"),
        ((*LAYER, "--loss", "hinge"), "hinge"),
        (("--model", "torch.nn", "--input-shape", "4"), "task.model must be package.module:callable"),
    ],
)
def test_errors_of_models(arguments: tuple[str, ...], message: str) -> None:
    assert message in " ".join(_output(*arguments, code=2).replace("│", " ").split())
