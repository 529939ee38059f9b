"""Conversion: identity of modules and parameters, options by group, refusals."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import mulfree
import mulfree.nn as mnn
from mulfree import Policy
from mulfree.policy import Group, Products
from tests.ops.support import same_bits


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 8)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        result: Tensor = x + self.mlp(x)
        return result


def test_everything_stays_but_the_arithmetic() -> None:
    torch.manual_seed(0)
    model = Block().eval()
    before = copy.deepcopy(model)
    modules, parameters = dict(model.named_modules()), dict(model.named_parameters())
    calls: list[str] = []
    model.norm.register_forward_hook(lambda *_: calls.append("hook"))
    assert mulfree.convert(model) is model
    assert {name: id(m) for name, m in model.named_modules()} == {name: id(m) for name, m in modules.items()}
    assert {name: id(p) for name, p in model.named_parameters()} == {name: id(p) for name, p in parameters.items()}
    assert not model.training and not model.norm.training
    assert type(model.norm) is mnn.LayerNorm
    assert type(model.attention) is mnn.MultiheadAttention
    assert [type(m) for m in model.mlp] == [mnn.Linear, mnn.GELU, mnn.Dropout, mnn.Linear]
    x = torch.randn(2, 3, 8)
    y, expected = model(x), before(x)
    assert calls == ["hook"]
    assert not same_bits(y, expected)
    assert torch.allclose(y, expected, atol=0.5)
    before.load_state_dict(model.state_dict())
    model.load_state_dict(before.state_dict())
    assert same_bits(copy.deepcopy(model)(x), y)


def test_a_single_module() -> None:
    assert type(mulfree.convert(torch.nn.Linear(2, 2))) is mnn.Linear
    assert mulfree.convert(torch.nn.CrossEntropyLoss()).derivative == "exact"


def test_groups_and_options() -> None:
    model = mulfree.convert(
        torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2), torch.nn.Softmax(-1), torch.nn.GELU()),
        Policy(
            matmul=Products(derivative="exact", mantissa_bits=4, compensation=1.1),
            norm=Group(on=False),
            activation=Group(derivative="exact"),
        ),
    )
    linear, norm, softmax, gelu = model
    assert (linear.derivative, linear.mantissa_bits, linear.compensation) == ("exact", 4, 1.1)
    assert type(norm) is torch.nn.LayerNorm
    assert softmax.derivative == "approximate"
    assert gelu.derivative == "exact"
    mulfree.convert(model, Policy.matmul_only())  # options of converted modules can be changed
    assert (linear.derivative, linear.mantissa_bits, linear.compensation) == ("approximate", 23, None)


def test_matmul_only_and_standard() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU(), torch.nn.BatchNorm1d(2))
    mulfree.convert(model, Policy.standard())
    assert [type(m) for m in model] == [torch.nn.Linear, torch.nn.GELU, torch.nn.BatchNorm1d]
    mulfree.convert(model, Policy.matmul_only(mantissa_bits=4))
    assert [type(m) for m in model] == [mnn.Linear, torch.nn.GELU, torch.nn.BatchNorm1d]
    assert model[0].mantissa_bits == 4


def test_where() -> None:
    model = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 2), "head": torch.nn.Conv1d(2, 2, 1)})
    mulfree.convert(model, where=lambda name, module: "head" not in name)
    assert type(model["body"]) is mnn.Linear
    assert type(model["head"]) is torch.nn.Conv1d


class Twice(torch.nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(super().forward(input))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (torch.nn.Conv2d(1, 1, 1), r"inner.0 \(torch.nn.modules.conv.Conv2d\).*'matmul'"),
        (torch.nn.BatchNorm1d(2), "'norm'"),
        (torch.nn.Sigmoid(), "'activation'"),
        (torch.nn.AvgPool2d(2), "'elementwise'"),
        (torch.nn.Embedding(2, 2, max_norm=1.0), "Embedding"),
        (torch.nn.TransformerEncoderLayer(8, 2), "TransformerEncoderLayer"),
        (Twice(2, 2), "derived from torch.nn.Linear"),
    ],
)
def test_refusals_change_nothing(module: torch.nn.Module, message: str) -> None:
    model = torch.nn.ModuleDict({"first": torch.nn.Linear(2, 2), "inner": torch.nn.Sequential(module)})
    with pytest.raises(NotImplementedError, match=message):
        mulfree.convert(model)
    assert type(model["first"]) is torch.nn.Linear


def test_attention_needs_its_groups_together() -> None:
    with pytest.raises(NotImplementedError, match="matmul and softmax"):
        mulfree.convert(torch.nn.MultiheadAttention(4, 2), Policy.matmul_only())


def test_free_modules_pass() -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(3, 4), torch.nn.Flatten(), torch.nn.ReLU(), torch.nn.Identity())
    types = [type(m) for m in model]
    assert [type(m) for m in mulfree.convert(model)] == types


@pytest.mark.parametrize(
    "make",
    [
        lambda: Group(derivative="analytic"),  # type: ignore[arg-type]
        lambda: Products(mantissa_bits=24),
        lambda: Products(compensation=0.0),
        lambda: Policy.matmul_only(mantissa_bits=0),
    ],
)
def test_policies_are_checked(make: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()


def test_policies_are_values() -> None:
    assert Policy() == Policy.full()
    assert Policy.full().loss.derivative == "exact"
    assert hash(Policy.matmul_only()) == hash(Policy.matmul_only(23))
    with pytest.raises(AttributeError):
        Policy().matmul = Products()  # type: ignore[misc]
