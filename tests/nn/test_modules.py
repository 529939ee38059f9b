"""Modules against torch's: constructor, state dict, initialization, result; and their own options."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import mulfree.functional as MF
import mulfree.nn as mnn
from tests.ops.support import same_bits

PAIRS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Linear", (8, 4), {}),
    ("Linear", (8, 4), {"bias": False}),
    ("LayerNorm", (8,), {"eps": 1e-3}),
    ("LayerNorm", ((3, 8),), {"elementwise_affine": False}),
    ("GELU", (), {"approximate": "tanh"}),
    ("Softmax", (), {"dim": -1}),
    ("LogSoftmax", (), {"dim": 0}),
    ("Dropout", (0.3,), {}),
    ("MultiheadAttention", (8, 2), {"batch_first": True}),
    ("MultiheadAttention", (8, 2), {"kdim": 6, "vdim": 5, "add_bias_kv": True}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), PAIRS)
def test_state_dicts_and_initialization_are_torchs(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    mine = getattr(mnn, name)(*args, **kwargs)
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **kwargs)
    assert isinstance(mine, type(theirs))
    assert list(mine.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert same_bits(mine.state_dict()[key], value)
    mine.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(mine.state_dict())
    assert repr(mine) == repr(theirs)


@pytest.mark.parametrize(("name", "args", "kwargs"), PAIRS)
def test_copies_and_pickles(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    module = getattr(mnn, name)(*args, **kwargs)
    if name != "Dropout":
        module.derivative = "exact"
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for twin in (copy.deepcopy(module), torch.load(file, weights_only=False)):
        assert type(twin) is type(module)
        assert repr(twin) == repr(module)
        for key, value in module.state_dict().items():
            assert same_bits(twin.state_dict()[key], value)


def test_options_reach_the_function() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8)
    linear = mnn.Linear(8, 4, derivative=("exact", "approximate"), mantissa_bits=3, compensation=1.1)
    options = {"derivative": ("exact", "approximate"), "mantissa_bits": 3, "compensation": 1.1}
    assert same_bits(linear(x), MF.linear(x, linear.weight, linear.bias, **options))
    assert repr(linear) == (
        "Linear(in_features=8, out_features=4, bias=True, derivative=('exact', 'approximate'), "
        "mantissa_bits=3, compensation=1.1)"
    )
    calls: list[tuple[torch.nn.Module, Callable[..., Tensor]]] = [
        (mnn.LayerNorm(8, derivative="exact"), lambda v: MF.layer_norm(v, (8,), *norm, derivative="exact")),
        (mnn.GELU(derivative="exact"), lambda v: MF.gelu(v, derivative="exact")),
        (mnn.Softmax(1, derivative="exact"), lambda v: MF.softmax(v, 1, derivative="exact")),
        (mnn.LogSoftmax(-1, derivative="exact"), lambda v: MF.log_softmax(v, -1, derivative="exact")),
    ]
    norm = calls[0][0].weight, calls[0][0].bias
    for module, function in calls:
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        results = module(inputs[0]), function(inputs[1])
        assert same_bits(*results)
        delta = torch.randn(2, 3, 8)
        assert same_bits(*(torch.autograd.grad(r, i, delta)[0] for r, i in zip(results, inputs, strict=True)))


def test_cross_entropy_loss_is_exact_by_default() -> None:
    x, target = torch.randn(5, 3), torch.tensor([0, 2, -1, 1, 1])
    options: dict[str, Any] = {"ignore_index": -1, "label_smoothing": 0.1, "reduction": "sum"}
    gradients = []
    for loss in (
        mnn.CrossEntropyLoss(**options),
        mnn.CrossEntropyLoss(**options, derivative="approximate"),
        lambda a, t: MF.cross_entropy(a, t, **options, derivative="exact"),
    ):
        inputs = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss(inputs, target), inputs)[0])
    assert same_bits(gradients[0], gradients[2])
    assert not same_bits(gradients[0], gradients[1])
    assert repr(mnn.CrossEntropyLoss()) == "CrossEntropyLoss()"


def test_dropout_follows_the_training_flag() -> None:
    x = torch.ones(1000)
    module = mnn.Dropout(0.5)
    assert (module(x) == 0).any()
    assert module.eval()(x) is x


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
@pytest.mark.filterwarnings("ignore:Implicit dimension")
def test_softmax_without_a_dimension_takes_the_one_that_torch_takes(name: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    assert torch.allclose(getattr(mnn, name)(None)(x).exp(), getattr(torch.nn, name)(None)(x).exp(), atol=0.3)
    assert any(same_bits(getattr(mnn, name)(None)(x), getattr(mnn, name)(d)(x)) for d in range(x.dim()))
