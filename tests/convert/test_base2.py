"""A policy in base 2: softmax, attention and cross-entropy of powers of two (section 5)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import mulfree
import mulfree.functional as MF
from mulfree import Policy
from mulfree.models.transformer import Transformer
from mulfree.train.arithmetic import Arithmetic

BASE_2 = Policy(base="2")


class Calls(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Tensor:
        result: Tensor = self.function(*args)
        return result


def in_base_2(function: Any, *args: Any, policy: Policy = BASE_2) -> Tensor:
    result: Tensor = mulfree.convert(Calls(function), policy)(*args)
    return result


def test_softmax_and_its_logarithm() -> None:
    x = torch.randn(3, 5)
    assert torch.equal(in_base_2(lambda x: x.softmax(-1), x), MF.softmax2(x, -1))
    assert torch.equal(in_base_2(lambda x: F.log_softmax(x, 0), x), MF.log_softmax2(x, 0))
    assert torch.equal(in_base_2(torch.nn.Softmax(1), x), MF.softmax2(x, 1))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing: float) -> None:
    x, target = torch.randn(4, 5), torch.tensor([0, 4, -100, 2])
    loss = torch.nn.CrossEntropyLoss(reduction="sum", label_smoothing=smoothing)
    found = in_base_2(loss, x, target)
    assert torch.equal(found, MF.cross_entropy2(x, target, reduction="sum", label_smoothing=smoothing))
    standard = F.cross_entropy(x * math.log(2), target, reduction="sum", label_smoothing=smoothing) / math.log(2)
    # In each of three rows the logarithm errs by at most 0.0861, and the powers in it by at most 6.15 %.
    assert abs(float(found) - float(standard)) < 3 * (0.0861 + math.log2(1.0615))


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_made_of_products_and_the_softmax_in_base_2(causal: bool) -> None:
    query, key, value = (torch.randn(2, 3, 4, 8) for _ in range(3))
    found = in_base_2(lambda *x: F.scaled_dot_product_attention(*x, is_causal=causal), query, key, value)
    scores = MF.div(MF.matmul(query, key.mT), MF.sqrt(torch.tensor(8.0)))
    if causal:
        scores = scores.masked_fill(torch.ones(4, 4, dtype=torch.bool).triu(1), -math.inf)
    assert torch.equal(found, MF.matmul(MF.softmax2(scores, -1), value))


def test_only_replaced_groups_change_their_base() -> None:
    x, target = torch.randn(4, 5), torch.tensor([0, 4, 1, 2])
    policy = Policy(softmax=mulfree.policy.Group(on=False), base="2")
    assert torch.equal(in_base_2(lambda x: x.softmax(-1), x, policy=policy), x.softmax(-1))
    assert torch.equal(in_base_2(torch.nn.CrossEntropyLoss(), x, target, policy=policy), MF.cross_entropy2(x, target))


def test_a_step_in_base_2_has_no_multiplication() -> None:
    torch.manual_seed(0)
    arithmetic = Arithmetic(base="2")
    model = arithmetic.converted(Transformer(11, 11, width=8, hidden=16, heads=2, depth=1, dropout=0.1, padding=0))
    criterion = arithmetic.converted(torch.nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1))
    source, target = torch.randint(1, 11, (2, 5)), torch.randint(1, 11, (2, 4))
    with mulfree.audit() as audit:
        criterion(model(source, target).flatten(0, 1), target.flatten()).backward()
    assert audit.multiplications == 0, str(audit)
    calls = audit.report.pa_calls
    assert not any("softmax" in name or "attention" in name or "cross_entropy" in name for name in calls), calls
    assert any("exp2" in name for name in calls)
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="base must be 'e' or '2', got '10'"):
        Policy(base="10")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs softmax or loss among the groups"):
        Arithmetic(policy="matmul", base="2")
    assert Arithmetic(base="2").label == "full_base2"
