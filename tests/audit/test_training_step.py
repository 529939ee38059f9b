"""A whole training step under the audit: clean where everything is converted, and not where one part is forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import mulfree as mf
from mulfree.audit import Audit
from mulfree.models import VisionTransformer

Loss = Callable[[Tensor, Tensor], Tensor]


def _model() -> nn.Module:
    return VisionTransformer(width=8, depth=1, heads=2, hidden=8, patch_size=4, dropout=0.1)


def _step(model: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer, clip: Callable[..., object]) -> Audit:
    schedule = mf.optim.WarmupCosineLR(optimizer, total_steps=9, warmup_steps=2)
    images, labels = torch.ones(2, 1, 8, 8), torch.tensor([3, 5])
    with mf.audit() as found:
        for _ in range(2):
            optimizer.zero_grad()
            loss(model(images), labels).backward()  # type: ignore[no-untyped-call]
            clip(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            model(images).argmax(dim=1)
    return found


def test_a_converted_step_is_clean() -> None:
    model = mf.convert(_model())
    loss = mf.nn.CrossEntropyLoss(label_smoothing=0.1)
    found = _step(model, loss, mf.optim.AdamW(model.parameters()), mf.optim.clip_grad_norm_)
    assert found.findings == (), str(found)
    assert found.pa_operations > 100


@pytest.mark.parametrize("forgotten", ["loss", "optimizer", "clipping", "layer norm"])
def test_a_forgotten_part_is_found(forgotten: str) -> None:
    model = mf.convert(_model(), where=lambda name, _: forgotten != "layer norm" or name != "blocks.0.norm2")
    loss: Loss = nn.CrossEntropyLoss() if forgotten == "loss" else mf.nn.CrossEntropyLoss()
    kind = torch.optim.AdamW if forgotten == "optimizer" else mf.optim.AdamW
    clip = nn.utils.clip_grad_norm_ if forgotten == "clipping" else mf.optim.clip_grad_norm_
    found = _step(model, loss, kind(model.parameters()), clip)
    assert found.multiplications > 0
    modules = {finding.module for finding in found.findings}
    assert modules == {{"loss": "CrossEntropyLoss", "optimizer": "AdamW", "clipping": "",
                        "layer norm": "blocks.0.norm2"}[forgotten]}  # fmt: skip
