"""Models by the name of what makes them, on random inputs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mulfree.recipes import from_data, train_recipe
from mulfree.recipes.model import ModelSettings, ModelTask, made, scores_of
from mulfree.recipes.runs import Options, _Quiet
from mulfree.train import ConfigError

OWN = '''
import torch
from torch import nn

class Tagger(nn.Module):
    """Scores of each token, in a dictionary."""
    def __init__(self, width=8, classes=5):
        super().__init__()
        self.table, self.head = nn.Embedding(10, width), nn.Linear(width, classes)

    def forward(self, tokens):
        return {"logits": self.head(self.table(tokens))}

class Group:
    tagger = Tagger

number = 3

def scripted():
    return torch.jit.script(nn.Linear(4, 2))
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module ``own_network`` in the working folder."""
    (tmp_path / "own_network.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield
    sys.modules.pop("own_network", None)
    assert sys.path == path


def _settings(model: str = "torch.nn:Linear", **changes: Any) -> ModelSettings:
    if model == "torch.nn:Linear":
        changes = {"input_shape": (4,), "arguments": {"in_features": 4, "out_features": 3}, **changes}
    return ModelSettings(model=model, **changes)


def test_batches_are_random_and_always_the_same() -> None:
    task = ModelTask(_settings(batch_size=5))
    inputs, targets = task.batches(0, 0)[0]
    assert (inputs.shape, inputs.dtype) == ((5, 4), torch.float32)
    assert (targets.shape, targets.dtype) == ((5,), torch.int64)
    assert 0 <= int(targets.min()) <= int(targets.max()) < 3
    again = ModelTask(_settings(batch_size=5)).batches(7, 3)[0]
    assert torch.equal(inputs, again[0])
    assert torch.equal(targets, again[1])
    assert task.count((inputs, targets)) == 5


def test_the_loss_is_that_of_the_scores() -> None:
    for loss, function in (("cross-entropy", nn.functional.cross_entropy), ("mse", nn.functional.mse_loss)):
        task = ModelTask(_settings(loss=loss))
        model, (inputs, targets) = task.model(), task.batches(0, 0)[0]
        expected = function(model(inputs), targets, reduction="sum")
        assert torch.equal(task.loss(model, task.criterion(), (inputs, targets)), expected)


def test_scores_of_tokens(own: None) -> None:
    task = ModelTask(_settings("own_network:Group.tagger", input_shape=(6,), tokens=10, arguments={"classes": 7}))
    inputs, targets = task.batches(0, 0)[0]
    assert (inputs.shape, targets.shape) == ((8, 6), (8, 6))
    assert int(inputs.max()) < 10
    model = task.model()
    expected = nn.functional.cross_entropy(model(inputs)["logits"].flatten(0, 1), targets.flatten(), reduction="sum")
    assert torch.equal(task.loss(model, task.criterion(), (inputs, targets)), expected)


def test_scores_in_what_a_model_returns() -> None:
    x, y = torch.ones(1), torch.zeros(1)
    results: list[Any] = [x, (x, y), {"a": x}, SimpleNamespace(logits=x), [None, x]]
    assert all(scores_of(result) is x for result in results)
    with pytest.raises(TypeError, match="expected a tensor, or a tuple or mapping with one, as the result, got str"):
        scores_of("x")


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("own_network", {}, "task.model must be package.module:callable"),
        ("own_network:", {}, "task.model must be package.module:callable"),
        ("no_such_module:Net", {}, "cannot import no_such_module:Net: ModuleNotFoundError"),
        ("own_network:Net", {}, "cannot import own_network:Net: AttributeError"),
        ("own_network:number", {}, "own_network:number is no callable but int"),
        ("own_network:Tagger", {"size": 3}, r"task.arguments: own_network:Tagger\(size=3\) failed: TypeError"),
        ("own_network:scripted", {}, "must return a torch.nn.Module, not scripted, got RecursiveScriptModule"),
        ("builtins:dict", {}, "must return a torch.nn.Module, not scripted, got dict"),
    ],
)
@pytest.mark.usefixtures("own")
def test_models_that_cannot_be_made(path: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(path, arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_shape": (5,)}, r"task.input_shape: .* on fractions of shape \(8, 5\): RuntimeError: mat1 and mat2"),
        ({"tokens": 9}, r"task.input_shape: .* on whole numbers below 9 of shape \(8, 4\)"),
        ({"model": "torch.nn:Identity", "input_shape": (4,)}, "torch.nn:Identity has no parameters to train"),
        (
            {"model": "torch.nn:Flatten", "input_shape": (4,), "arguments": {"start_dim": 0}},
            "torch.nn:Flatten has no parameters to train",
        ),
    ],
)
def test_models_that_cannot_be_trained(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelTask(_settings(**changes))


class Sums(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sum(dim=1)


def test_scores_without_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mulfree.recipes.model.made", lambda path, arguments: Sums(4, 3))
    with pytest.raises(ConfigError, match=r"task.loss: cross-entropy cannot be computed from scores of shape \(8,\)"):
        ModelTask(_settings())
    assert ModelTask(_settings(loss="mse")).batches(0, 0)[0][1].shape == (8,)


def test_a_recipe_of_a_model_trains(tmp_path: Path) -> None:
    data = {
        "description": "a layer",
        "source": "the tests",
        "task": {
            "kind": "model",
            "model": "torch.nn:Linear",
            "arguments": {"in_features": 4, "out_features": 3},
            "input_shape": [4],
        },
        "optimizer": {"kind": "sgd", "lr": 0.125},
        "schedule": {"kind": "constant"},
        "training": {"steps": 20, "log_every": 1},
    }
    found = train_recipe(from_data("layer", data), Options(tmp_path / "runs"), _Quiet()).results["full"][0]
    assert (found.score, found.steps, found.multiplications) == ("loss", 20, 0)
    before = ModelTask(_settings())
    torch.manual_seed(0)
    with torch.no_grad():
        assert found.scores["loss"] < before.validate(before.model())["loss"]
