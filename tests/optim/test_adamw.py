"""AdamW: the law's bits, torch's state dicts, its errors; and training."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import mulfree.nn as mnn
from mulfree.numerics import optimizers, scalar
from mulfree.optim import AdamW, WarmupCosineLR, clip_grad_norm_
from tests.ops.support import same_bits, words


def parameters(optimizer: type[torch.optim.Optimizer], **options: Any) -> tuple[Tensor, torch.optim.Optimizer]:
    p = torch.nn.Parameter(torch.tensor([0.5, -1.25, 3.0, 1e-3]))
    return p, optimizer([p], **options)


GRADS = [torch.tensor([0.1, -0.7, 1e-6, 2.0]), torch.tensor([-0.3, -0.2, 0.0, 1.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])]


@pytest.mark.parametrize("maximize", [False, True])
def test_steps_are_the_law(maximize: bool) -> None:
    p, optimizer = parameters(AdamW, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1, maximize=maximize)
    lr, beta1, beta2, eps, weight_decay = map(scalar.bits, (0.01, 0.8, 0.95, 1e-6, 0.1))
    law = [(word, 0, 0) for word in words(p)]
    for step, grad in enumerate(GRADS, 1):
        p.grad = grad.clone()
        optimizer.step()
        law = [
            optimizers.adamw(
                (param, g, m, v),
                lr=lr,
                beta1=beta1,
                beta2=beta2,
                eps=eps,
                decay=scalar.mul(lr, weight_decay),
                correction1=optimizers.adamw_correction(beta1, step),
                correction2=optimizers.adamw_correction(beta2, step),
            )
            for (param, m, v), g in zip(law, words(-grad if maximize else grad), strict=True)
        ]
        state = optimizer.state[p]
        assert words(p) == [param for param, _, _ in law]
        assert words(state["exp_avg"]) == [m for _, m, _ in law]
        assert words(state["exp_avg_sq"]) == [v for _, _, v in law]
        assert state["step"] == step


def test_close_to_torch() -> None:
    """A step of Adam has length lr; PA changes it by at most a quarter here."""
    (mine, ours), (theirs, torchs) = (parameters(kind, lr=0.01) for kind in (AdamW, torch.optim.AdamW))
    for grad in GRADS:
        for p, optimizer in ((mine, ours), (theirs, torchs)):
            p.grad = grad.clone()
            optimizer.step()
    assert torch.allclose(mine, theirs, rtol=0, atol=0.01)


@pytest.mark.parametrize(("first", "second"), [(AdamW, torch.optim.AdamW), (torch.optim.AdamW, AdamW)])
def test_state_dicts_go_both_ways(first: Any, second: Any) -> None:
    p, before = parameters(first, lr=0.02, weight_decay=0.3)
    for grad in GRADS:
        p.grad = grad.clone()
        before.step()
    q, after = parameters(second)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    assert after.param_groups[0]["lr"] == 0.02
    for name, value in before.state[p].items():
        assert same_bits(after.state[q][name], value)
    q.grad = GRADS[0].clone()
    after.step()
    assert after.state[q]["step"] == 4


def test_groups_closures_tensors_as_rate_and_missing_gradients() -> None:
    a, b, c = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizer = AdamW([{"params": [a], "lr": torch.tensor(0.5)}, {"params": [b, c], "lr": 0.0}], weight_decay=0.0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (a + b).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 4.0
    # At the first step m' and v' are 1: PA's exp2(log2(1) / 2) = 1, and the step is lr itself.
    assert torch.allclose(a, torch.full((2,), 0.5), atol=1e-2)
    assert same_bits(b, torch.ones(2))
    assert c not in optimizer.state


def test_layouts() -> None:
    torch.manual_seed(0)
    whole = torch.nn.Parameter(torch.randn(3, 4))
    turned = torch.nn.Parameter(whole.detach().t().contiguous().t())
    assert not turned.is_contiguous()
    grad = torch.randn(3, 4)
    for p in (whole, turned):
        p.grad = grad.clone()
        AdamW([p], lr=0.1).step()
    assert same_bits(whole, turned)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "lr"),
        ({"eps": -1.0}, "eps"),
        ({"weight_decay": float("nan")}, "weight_decay"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"fused": True}, "fused"),
        ({"foreach": True}, "foreach"),
        ({"capturable": True}, "capturable"),
        ({"lr": torch.ones(2)}, "lr"),
    ],
)
def test_bad_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parameters(AdamW, **options)


def test_bad_parameters_and_gradients() -> None:
    with pytest.raises(TypeError, match=r"float32, got torch\.bfloat16"):
        AdamW([torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))])
    p, optimizer = parameters(AdamW)
    p.grad = torch.ones(4).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        optimizer.step()


def test_a_small_network_learns() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 2)
    target = (x.sum(1) > 0).long()
    model = torch.nn.Sequential(mnn.Linear(2, 8), mnn.LayerNorm(8), mnn.GELU(), mnn.Linear(8, 2))
    optimizer = AdamW(model.parameters(), lr=0.05)
    schedule, loss_fn = WarmupCosineLR(optimizer, 30, 3), mnn.CrossEntropyLoss()
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = loss_fn(model(x), target)
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
