"""Recipe files: read, checked, changed, written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mulfree.recipes import Recipe, changed, load, names, parse, to_toml
from mulfree.recipes.recipe import differences
from mulfree.train import ConfigError
from tests.tiny_recipe import TINY


@pytest.fixture
def tiny() -> Recipe:
    return parse("tiny", TINY)


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_is_valid_and_survives_writing(name: str) -> None:
    recipe = load(name)
    assert recipe.description
    assert recipe.source
    assert parse(name, to_toml(recipe)) == recipe


def test_a_file_is_a_recipe(tmp_path: Path, tiny: Recipe) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    assert load(str(path)) == tiny
    with pytest.raises(ConfigError, match=r"cannot read the recipe .*missing.toml"):
        load(str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigError, match=r"no recipe 'digit'; there are .*digits"):
        load("digit")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "adamw"', 'kind = "adam"', "optimizer.kind: input should be 'adamw' or 'sgd', got 'adam'"),
        ("lr = 2e-3", "lr = -1", "optimizer.lr: input should be greater than 0, got -1"),
        ("lr = 2e-3", 'lr = "2e-3"', "optimizer.lr: input should be a valid number, got '2e-3'"),
        ("lr = 2e-3", "", "optimizer.lr is missing"),
        ("lr = 2e-3", "lr = 2e-3\nrate = 1", "optimizer.rate is no setting"),
        ("epochs = 3", "epochs = 3.5", "training.epochs: input should be a valid integer, got 3.5"),
        (
            "epochs = 3",
            "epochs = 3\nsteps = 3",
            "training: exactly one of epochs and steps must be positive, got 3 and 3",
        ),
        ("epochs = 3", "", "training: exactly one of epochs and steps must be positive"),
        ('policy = "full"', 'policy = "half"', "arithmetic.policy"),
        ('kind = "digits"', 'kind = "letters"', "task.kind must be one of digits.*, got 'letters'"),
        ("images = 24", "images = 24\nsize = 8", "task.size is no setting"),
        ("[schedule]", "[rates]", "unknown section 'rates'"),
        ('source = "the tests"', "", "source must be a string"),
        ("[schedule]", "[schedule", "not valid TOML"),
        ("warmup_steps = 2", "warmup_steps = 2\nwarmup_epochs = 1", "one must be 0; got 2 and 1"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, message: str) -> None:
    assert old in TINY
    with pytest.raises(ConfigError, match=message):
        parse("tiny", TINY.replace(old, new, 1))


def test_changes(tiny: Recipe) -> None:
    other = changed(tiny, {"training.steps": 7, "arithmetic.derivative.softmax": "exact", "optimizer.lr": 0.5})
    assert (other.training.steps, other.training.epochs) == (7, 0)
    assert other.arithmetic.derivative.softmax == "exact"
    assert set(differences(tiny, other)) == {
        "training.steps: 0 -> 7",
        "training.epochs: 3 -> 0",
        "arithmetic.derivative.softmax: None -> exact",
        "optimizer.lr: 0.002 -> 0.5",
    }
    for place, message in (
        ("lr", "must be named with its section"),
        ("optimiser.lr", "no section 'optimiser'"),
        ("optimizer.rate", "optimizer.rate is no setting"),
        ("optimizer.lr.x", "lr is no section"),
    ):
        with pytest.raises(ConfigError, match=message):
            changed(tiny, {place: 1})


def test_harmless_changes_are_no_difference(tiny: Recipe) -> None:
    assert differences(tiny, changed(tiny, {"training.workers": 3, "training.audit_every": 5})) == []
