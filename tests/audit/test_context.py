"""The audit of PyTorch's operations: what it must find, what it must not, and where it says it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mulfree import audit
from mulfree.audit import Finding


class HiddenInBackward(torch.autograd.Function):
    """Adds in the forward pass and multiplies in the backward pass."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        return x + 1

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        return grad * 0.5  # the hidden product


def _leaf(*shape: int) -> Tensor:
    return torch.full(shape or (3, 4), 0.5).requires_grad_()


def _adamw() -> None:
    x = _leaf()
    x.grad = torch.ones_like(x)
    torch.optim.AdamW([x]).step()


def _clip() -> None:
    x = _leaf()
    x.grad = torch.ones_like(x)
    nn.utils.clip_grad_norm_([x], 1.0)


MULTIPLYING: dict[str, Callable[[], object]] = {
    "product": lambda: torch.ones(3) * 0.5,
    "addcmul": lambda: torch.ones(3).addcmul_(torch.ones(3), torch.ones(3)),
    "lerp": lambda: torch.ones(3).lerp_(torch.zeros(3), 0.5),
    "add with alpha": lambda: torch.ones(3).add_(torch.ones(3), alpha=0.5),
    "sub with alpha": lambda: torch.sub(torch.ones(3), torch.ones(3), alpha=2),
    "rsub with alpha": lambda: torch.rsub(torch.ones(3), torch.ones(3), alpha=2),
    "foreach add with alpha": lambda: torch._foreach_add([torch.ones(3)], [torch.ones(3)], alpha=0.5),
    "foreach product": lambda: torch._foreach_mul_([torch.ones(3)], 2.0),
    "product into out": lambda: torch.mul(torch.ones(3), 2.0, out=torch.empty(3)),
    "index_add with alpha": lambda: torch.zeros(3).index_add_(0, torch.arange(3), torch.ones(3), alpha=0.5),
    "scatter with products": lambda: torch.ones(3).scatter_reduce_(0, torch.arange(3), torch.ones(3), "prod"),
    "normalize": lambda: F.normalize(torch.ones(2, 3)),
    "mean": lambda: torch.ones(3).mean(),
    "std": lambda: torch.std(torch.ones(3)),
    "einsum": lambda: torch.einsum("ij,jk->ik", torch.ones(2, 3), torch.ones(3, 2)),
    "dropout": lambda: F.dropout(torch.ones(3), 0.5),
    "random numbers": lambda: torch.rand(3),
    "decimals": lambda: torch.ones(3).round(decimals=1),
    "integers to a fraction": lambda: torch.arange(3) / 2,
    "integers times a fraction": lambda: torch.arange(3) * 0.5,
    "layer norm": lambda: nn.LayerNorm(4)(torch.ones(2, 4)),
    "attention": lambda: F.scaled_dot_product_attention(*torch.ones(3, 1, 2, 4, 8)),
    "convolution": lambda: nn.Conv2d(1, 1, 2)(torch.ones(1, 1, 3, 3)),
    "mean loss": lambda: F.cross_entropy(_leaf(), torch.tensor([0, 1, 2])),
    "AdamW": _adamw,
    "clipping": _clip,
    "derivative of abs": lambda: _leaf().abs().sum().backward(),
    "custom derivative": lambda: HiddenInBackward.apply(_leaf()).sum().backward(),
}


@pytest.mark.parametrize("name", MULTIPLYING)
def test_finds(name: str) -> None:
    with audit() as found:
        MULTIPLYING[name]()
    assert found.multiplications > 0
    assert found.findings
    assert not found.unknown


def _additions() -> Tensor:
    x = _leaf()
    y = torch.relu(x + 1 - x.detach()).clamp(max=2).max(dim=1).values
    y = torch.where(y > 1, y, -y)
    picked = torch.cat([y[1:], y.flip(0)]).sort().values.sum()
    picked.backward()
    assert x.grad is not None
    return x.grad


FREE: dict[str, Callable[[], object]] = {
    "additions, selections and their derivatives": _additions,
    "views and copies": lambda: _leaf().t().reshape(2, 6).to(torch.bfloat16).unfold(0, 2, 1).contiguous().clone(),
    "indexing": lambda: F.embedding(torch.tensor([0, 2]), _leaf()).index_fill(0, torch.tensor([1]), 0.0),
    "whole random numbers": lambda: torch.randperm(5)[torch.randint(0, 5, (3,))],
    "negative alpha": lambda: torch.ones(3).add(torch.ones(3), alpha=-1),
    "scatter": lambda: torch.zeros(3).scatter_add(0, torch.arange(3), torch.ones(3)),
    "an empty product": lambda: torch.ones(0) * 2,
    "dropout in evaluation": lambda: F.dropout(torch.ones(3), 0.5, training=False),
}


@pytest.mark.parametrize("name", FREE)
def test_does_not_find(name: str) -> None:
    with audit() as found:
        FREE[name]()
    assert found.multiplications == 0, str(found)
    assert found.findings == ()


def test_integer_products_are_reported_apart() -> None:
    with audit() as found:
        torch.arange(5) * 3 + 1
    assert found.findings == ()
    assert json.loads(found.to_json())["integer_operations"] > 0


def test_unknown_operation_is_a_finding() -> None:
    with torch.library._scoped_library("audit_test", "FRAGMENT") as library:
        library.define("mystery(Tensor x) -> Tensor")
        library.impl("mystery", lambda x: x.clone(), "CPU")
        with audit() as found:
            torch.ops.audit_test.mystery(torch.ones(3))
    (finding,) = found.findings
    assert found.unknown == (finding,)
    assert not finding.known
    assert finding.op == "audit_test::mystery.default"
    assert found.multiplications == 3
    assert "unknown" in str(found)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.second = nn.ModuleDict({"inner": nn.Linear(5, 2)})

    def forward(self, x: Tensor) -> Tensor:
        return self.second["inner"](self.first(x) + 1) * 2


def _step() -> tuple[Finding, ...]:
    model = Two()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with audit() as found:
        model(torch.ones(3, 4)).sum().backward()
        optimizer.step()
    return found.findings


def test_module_paths_in_both_passes() -> None:
    findings = _step()
    for phase in ("forward", "backward"):
        assert {f.module for f in findings if f.phase == phase} == {"first", "second.inner", "Two"}
    assert {f.module for f in findings if f.phase == "optimizer"} == {"SGD"}


def test_source_lines() -> None:
    lines = {f.source for f in _step()}
    assert all("test_context.py:" in line for line in lines)
    with audit() as found:
        HiddenInBackward.apply(_leaf()).sum().backward()
    (finding,) = found.findings
    source = finding.source.rpartition(":")
    with open(__file__, encoding="utf-8") as file:
        assert "the hidden product" in file.readlines()[int(source[2]) - 1]


def test_matrix_products_count_their_products() -> None:
    with audit() as found:
        torch.ones(3, 4) @ torch.ones(4, 5)
        torch.ones(2, 3) * 1.5
    assert [f.multiplications for f in found.findings] == [3 * 4 * 5, 6]
    assert found.multiplications == 66


def test_calls_from_one_place_are_one_finding() -> None:
    x = torch.ones(3)
    with audit() as found:
        for _ in range(4):
            x * 2
    (finding,) = found.findings
    assert (finding.calls, finding.multiplications) == (4, 12)


def test_inference_mode_decomposes() -> None:
    with audit() as found, torch.inference_mode():
        F.linear(torch.ones(2, 3), torch.ones(4, 3))
    assert found.multiplications == 24
    assert not found.unknown


def test_ends_with_its_block_even_after_an_error() -> None:
    found = audit()
    with pytest.raises(ZeroDivisionError), found:
        nn.Identity()(torch.ones(1))
        raise ZeroDivisionError
    torch.ones(3) * 2
    assert found.findings == ()
    assert not nn.modules.module._global_forward_pre_hooks


def test_results_are_unchanged() -> None:
    def run() -> Tensor:
        torch.manual_seed(0)
        model = Two()
        model(torch.ones(3, 4)).sum().backward()
        assert model.first.weight.grad is not None
        return model.first.weight.grad

    expected = run()
    with audit():
        assert torch.equal(run(), expected)


def test_report() -> None:
    with audit() as found:
        torch.ones(3) * 2
    text = str(found)
    assert "aten::mul.Tensor" in text
    assert "test_context.py" in text
    content = json.loads(found.to_json())
    assert content["multiplications"] == 3
    assert content["findings"][0]["calls"] == 1
