"""Whole networks are piecewise affine in inputs and weights; ordinary ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import mulfree
from mulfree import Policy
from mulfree.analysis import is_piecewise_affine, slice_along
from mulfree.analysis.affinity_plot import save_slice, small_network
from mulfree.models.vit import VisionTransformer


@pytest.mark.parametrize("moved", ["inputs", "weights", "both"])
def test_a_vision_transformer(moved: Any) -> None:
    torch.manual_seed(0)
    model = VisionTransformer(width=16, depth=1, heads=2)
    images = torch.rand(2, 1, 8, 8)
    assert not is_piecewise_affine(model, images, moved=moved, seeds=(0,))
    mulfree.convert(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert is_piecewise_affine(model, images, moved=moved, seeds=(0,))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_one_multiplication_is_enough_to_fail() -> None:
    model = mulfree.convert(small_network(0), Policy.full())
    inputs = torch.randn(3, 2)
    assert is_piecewise_affine(model, inputs)
    mulfree.convert(model, where=lambda name, _: name != "3")
    assert not is_piecewise_affine(model, inputs)


def test_a_linear_layer_is_affine_in_its_input_alone() -> None:
    model, inputs = torch.nn.Linear(3, 2), torch.randn(4, 3)
    assert is_piecewise_affine(model, inputs, moved="inputs")
    assert not is_piecewise_affine(model, inputs, moved="both")


def test_slopes_are_those_of_the_outputs() -> None:
    model = mulfree.convert(small_network(1))
    inputs = torch.randn(3, 2)
    line = slice_along(model, inputs, moved="both", step_bits=14, points=200)
    rounding = 64 * torch.finfo(torch.float32).eps
    steps = line.outputs.diff()[line.same]
    assert len(steps) > 10
    assert float(steps.abs().max()) > 10 * rounding
    assert float((steps - line.slopes[:-1][line.same]).abs().max()) < rounding
    assert 1 <= line.segments <= int((~line.same).sum()) + 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"moved": "nothing"}, ValueError, "moved must be"),
        ({"points": 1}, ValueError, "points must be at least 2"),
        ({"step_bits": 0}, ValueError, "step_bits 1 to 16"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        slice_along(small_network(0), torch.randn(3, 2), **options)


def test_bad_inputs() -> None:
    with pytest.raises(TypeError, match=r"must be float32, got torch\.float64"):
        slice_along(small_network(0), torch.randn(3, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="nothing moves"):
        slice_along(torch.nn.Softmax(-1), torch.zeros(3, 2))


def test_figure(tmp_path: Path) -> None:
    save_slice(tmp_path / "slice.png")
    assert (tmp_path / "slice.png").read_bytes().startswith(b"\x89PNG")
