"""The tables of the paper: their cells, and the words and files made of runs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mulfree.recipes import Recipe, load, to_toml
from mulfree.reproduction import Table, measure, table2, table3, table5, table6
from mulfree.reproduction.report import caption, head, rows, save
from mulfree.reproduction.results import Measured, folder_of, format_measured
from mulfree.train import ConfigError
from mulfree.train.run import DIVERGED, RECIPE, RESULT, Result


@pytest.fixture
def third() -> Table:
    return table3(load, "numbers")


def finish(table: Table, row: str, column: str, seed: int, score: float, output: Path) -> None:
    """Leave what a complete run leaves."""
    cell = table.cell(row, column)
    assert cell is not None
    folder = folder_of(cell, seed, output)
    folder.mkdir(parents=True)
    result = Result("numbers", cell.arithmetic.label, seed, "exact", {"exact": score}, 9, 1.0, 2.0, 1.0, 5, None)
    (folder / RECIPE).write_text(to_toml(cell.run(seed)))
    (folder / RESULT).write_text(json.dumps(asdict(result)))


def test_table_3_has_the_papers_places(third: Table) -> None:
    """Row by row."""
    assert third.rows == ["baseline", "matmul", "attention softmax", "layer norm", "loss", "optimizer"]
    figures = [(c.row, c.column, c.paper.mean) for c in third.cells if c.paper is not None]
    assert figures == [
        ("baseline", "cumulative", 34.4),
        ("matmul", "exact", 33.4), ("matmul", "approximate", 34.2), ("matmul", "cumulative", 34.2),
        ("attention softmax", "exact", 3.0), ("attention softmax", "approximate", 34.3),
        ("attention softmax", "cumulative", 34.2),
        ("layer norm", "exact", 33.7), ("layer norm", "approximate", 34.4), ("layer norm", "cumulative", 34.4),
        ("loss", "exact", 33.7), ("loss", "approximate", 33.0), ("loss", "cumulative", 33.7),
        ("optimizer", "exact", 34.2), ("optimizer", "cumulative", 33.5),
    ]  # fmt: skip


def test_the_arithmetic_of_table_3(third: Table) -> None:
    def of(row: str, column: str) -> tuple[set[str], set[str]]:
        """Groups that are replaced, and those with exact derivatives."""
        cell = third.cell(row, column)
        assert cell is not None
        policy = cell.arithmetic.conversion()
        groups = ("matmul", "softmax", "norm", "activation", "elementwise", "loss")
        exact = {g for g in groups if getattr(policy, g).on and getattr(policy, g).derivative == "exact"}
        return set(cell.arithmetic.replaced), exact

    assert of("baseline", "cumulative") == (set(), set())
    assert of("matmul", "exact") == ({"matmul"}, {"matmul"})
    assert of("matmul", "approximate") == of("matmul", "cumulative") == ({"matmul"}, set())
    assert of("attention softmax", "exact") == ({"softmax", "elementwise"}, {"softmax", "elementwise"})
    assert of("attention softmax", "cumulative") == ({"matmul", "softmax", "elementwise"}, set())
    assert of("layer norm", "exact") == ({"norm"}, {"norm"})
    assert of("loss", "exact") == ({"loss"}, {"loss"})
    assert of("loss", "approximate") == ({"loss"}, set())
    assert of("loss", "cumulative") == ({"matmul", "softmax", "elementwise", "norm", "loss"}, {"loss"})
    assert of("optimizer", "exact") == ({"optimizer"}, set())
    full = third.cell("optimizer", "cumulative")
    assert full is not None
    assert full.arithmetic.multiplication_free


def test_runs_are_told_apart_and_shared(third: Table) -> None:
    """Different trainings have different folders, equal ones the same: also those of table 6."""
    places: dict[Path, set[str]] = {}
    for table in (third, table6(load, "numbers"), table6(load, "numbers", "forward")):
        for cell in table.cells:
            places.setdefault(folder_of(cell, 0, Path()), set()).add(to_toml(cell.run(0)))
    assert all(len(recipes) == 1 for recipes in places.values())
    assert len({recipe for recipes in places.values() for recipe in recipes}) == len(places)
    shared = folder_of(third.cells[0], 0, Path())
    assert shared in {folder_of(cell, 0, Path()) for cell in table6(load, "numbers").cells}


def test_the_other_tables() -> None:
    assert [(c.recipe.name, c.arithmetic.label) for c in table2(load).cells] == [
        ("cifar10-deit-tiny", "standard"), ("cifar10-deit-tiny", "matmul"),
        ("imagenet-deit-tiny", "standard"), ("imagenet-deit-tiny", "matmul"),
    ]  # fmt: skip
    fifth = [(c.row, c.paper.mean, c.paper.spread) for c in table5(load).cells if c.paper is not None]
    assert fifth == [
        ("VGG-13", 92.9, 0.3), ("VGG-13", 92.9, 0.2), ("ResNet-20", 92.1, 0.3), ("ResNet-20", 92.0, 0.2),
        ("ResNet-110", 94.2, 0.1), ("ResNet-110", 94.1, 0.2), ("ResNeXt-20 4x16", 93.7, 0.2),
        ("ResNeXt-20 4x16", 93.8, 0.2), ("ConvMixer-256/8", 94.8, 0.2), ("ConvMixer-256/8", 94.8, 0.1),
    ]  # fmt: skip
    assert [c.paper.mean for c in table2(load).cells if c.paper is not None] == [94.8, 95.0, 72.2, 72.2]
    sixth = table6(load)
    assert sixth.columns == ("VGG-13", "translation")
    assert [c.arithmetic.mantissa_bits for c in sixth.cells if c.column == "VGG-13"] == [23, 23, 7, 4, 3, 2, 1]
    figures = [(c.paper.mean, c.paper.spread) for c in sixth.cells if c.paper is not None]
    assert figures == [
        (92.9, 0.3), (92.9, 0.2), (92.9, 0.2), (92.9, 0.5), (92.8, 0.2),
        (34.4, 0.1), (34.2, 0.2), (34.4, 0.2), (34.2, 0.1), (29.4, 0.5),
    ]  # fmt: skip
    three = sixth.cell("PAM, 3 bits", "translation")
    assert three is not None
    assert three.paper is not None
    assert (three.paper.mean, three.paper.spread) == (29.4, 0.5)
    backward = table6(load, "numbers", "backward").cell("PAM, 4 bits", "numbers")
    assert backward is not None
    assert backward.arithmetic.conversion().matmul.mantissa_bits == (23, 4)
    assert backward.paper is None
    assert table6(load, "numbers", "backward").title == "Matrix products with narrow mantissas in the backward pass"


def test_a_table_that_is_half_done_is_shown_half_done(third: Table, tmp_path: Path) -> None:
    for seed, score in enumerate((0.90, 0.94)):
        finish(third, "baseline", "cumulative", seed, score, tmp_path)
    finish(third, "matmul", "exact", 1, 0.88, tmp_path)
    measured = measure(third, range(2), tmp_path)
    assert head(third) == ["", "exact", "paper", "approximate", "paper", "cumulative", "paper"]
    words = rows(third, measured)
    assert words[0] == ["baseline", "", "", "", "", "92.0 ± 2.8", "34.4 ± 0.1"]
    change, missing = "88.0 [-4.0] (1 of 2 runs)", ["-", "34.2 [-0.2] ± 0.2"]
    assert words[1] == ["matmul", change, "33.4 [-1.0] ± 0.1", *missing, *missing]
    text = " ".join(caption(third, measured, range(2)))
    assert "3 of 28 runs are complete" in text
    assert "Other data or settings than the paper's" in text
    files = save(third, measured, range(2), tmp_path)
    assert [path.name for path in files] == ["table3-numbers.md", "table3-numbers.json", "table3-numbers.png"]
    assert "| matmul | 88.0 [-4.0] (1 of 2 runs) | 33.4 [-1.0] ± 0.1 | - |" in files[0].read_text()
    entry = json.loads(files[1].read_text())["cells"][1]
    assert (entry["row"], entry["column"], entry["scores"]) == ("matmul", "exact", [88.0])
    assert files[2].read_bytes().startswith(b"\x89PNG")


def test_runs_that_diverged_are_counted(third: Table, tmp_path: Path) -> None:
    for seed in range(2):
        finish(third, "baseline", "cumulative", seed, 0.9, tmp_path)
    finish(third, "loss", "exact", 0, 0.9, tmp_path)
    cell = third.cell("loss", "exact")
    assert cell is not None
    folder = folder_of(cell, 1, tmp_path)
    folder.mkdir()
    (folder / RECIPE).write_text(to_toml(cell.run(1)))
    (folder / DIVERGED).write_text("{}")
    measured = measure(third, range(2), tmp_path)
    assert measured["loss", "exact"].diverged == 1
    assert format_measured(measured["loss", "exact"], False) == "90.0 [+0.0] (1 of 2 runs, 1 diverged)"
    assert "--retry" in " ".join(caption(third, measured, range(2)))
    assert format_measured(Measured((), None, 3, diverged=1), False) == "1 diverged"
    assert format_measured(Measured((), None, 3, diverged=3), False) == "diverged"
    assert format_measured(Measured((), None, 3), False) == "-"


def test_runs_with_other_settings_are_not_taken_for_these(third: Table, tmp_path: Path) -> None:
    finish(third, "matmul", "exact", 0, 0.5, tmp_path)

    def longer(name: str) -> Recipe:
        recipe = load(name)
        return replace(recipe, training=replace(recipe.training, epochs=9))

    with pytest.raises(ConfigError, match=r"had other settings: training.epochs: 8 -> 9"):
        measure(table3(longer, "numbers"), [0], tmp_path)


def test_single_rows_keep_their_baseline(third: Table) -> None:
    assert [(c.row, c.column) for c in third.only(["optimizer"]).cells] == [
        ("baseline", "cumulative"),
        ("optimizer", "exact"),
        ("optimizer", "cumulative"),
    ]
