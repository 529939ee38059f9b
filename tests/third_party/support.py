"""What every third-party model must do: convert, train without a multiplication, and go back to its old bits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import mulfree

Loss = Callable[[torch.nn.Module], Tensor]

STEPS = 20


def outputs(model: torch.nn.Module, loss: Loss) -> Tensor:
    """The loss and all gradients in one vector, without dropout."""
    training = model.training
    model.eval()
    model.zero_grad()
    value = loss(model)
    value.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    model.train(training)
    return torch.cat([value.detach().reshape(1), *gradients])


def check_life_of_a_conversion(model: torch.nn.Module, loss: Loss, lr: float = 3e-3) -> None:
    """Train for 20 steps, the first one audited; the loss falls; reverting restores the bits of the original."""
    model.train()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = outputs(model, loss)
    mulfree.convert(model)
    optimizer = mulfree.optim.AdamW(model.parameters(), lr=lr)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        if step == 0:
            with mulfree.audit() as audit:
                value = loss(model)
                value.backward()
                optimizer.step()
            assert audit.multiplications == 0, audit
        else:
            value = loss(model)
            value.backward()
            optimizer.step()
        losses.append(float(value.detach()))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3]), losses
    mulfree.revert(model)
    assert not any(name.startswith("mulfree") for name in {type(m).__module__.split(".")[0] for m in model.modules()})
    model.load_state_dict(weights)
    assert torch.equal(outputs(model, loss), before)
