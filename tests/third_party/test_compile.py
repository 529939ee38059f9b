"""``torch.compile`` of a converted model: it runs, uncompiled inside, and returns the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import mulfree
from mulfree import Policy


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(16)
        self.attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.SiLU(), torch.nn.Linear(32, 16))
        self.scale = torch.nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0] * self.scale
        result: Tensor = x + self.mlp(x) / 3
        return result


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("policy", [Policy.full(), Policy.matmul_only()], ids=["full", "matmul"])
def test_compiled_models_return_the_same_bits(policy: Policy, backend: str) -> None:
    torch.manual_seed(0)
    model = mulfree.convert(Block(), policy)
    x = torch.randn(3, 5, 16)
    expected = model(x)
    gradients = torch.autograd.grad(expected.sum(), list(model.parameters()))
    torch._dynamo.reset()
    compiled = torch.compile(model, backend=backend)
    got = compiled(x)
    assert torch.equal(got, expected)
    for a, b in zip(torch.autograd.grad(got.sum(), list(model.parameters())), gradients, strict=True):
        assert torch.equal(a, b)


@pytest.mark.filterwarnings("ignore")
def test_asking_for_one_graph_says_that_there_is_none() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(mulfree.convert(Block()), backend="aot_eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="run"):
        compiled(torch.randn(3, 5, 16))
