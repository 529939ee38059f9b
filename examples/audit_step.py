"""A training step that does not multiply, and, with --forget, one where a part was forgotten.

mulfree audit examples/audit_step.py             no multiplications; exit code 0
mulfree audit examples/audit_step.py --forget    the parts that multiply, and where; exit code 1
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

import mulfree as mf


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--forget", action="store_true", help="scale the loss and use torch's optimizer")
    forget = parser.parse_args().forget

    torch.manual_seed(0)
    with mf.audit.constants("initial weights"):  # drawn once, with multiplications; listed apart
        model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 4))
    mf.convert(model)
    loss_fn = mf.nn.CrossEntropyLoss(label_smoothing=0.1)
    adamw = torch.optim.AdamW if forget else mf.optim.AdamW
    optimizer = adamw(model.parameters(), lr=1e-3)
    images, labels = torch.ones(5, 8), torch.tensor([0, 1, 2, 3, 0])

    for _ in range(2):
        loss = loss_fn(model(images), labels)
        if forget:
            loss = loss * 0.5
        optimizer.zero_grad()
        loss.backward()
        mf.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


if __name__ == "__main__":
    main()
