"""A network trained with standard arithmetic, converted for inference only, keeps its accuracy."""

from __future__ import annotations

import torch

import mulfree
from mulfree.data.digits import batches, load_digits
from mulfree.models.vit import VisionTransformer

EPOCHS, BATCH = 15, 32


def test_a_trained_network_keeps_its_accuracy() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    model = VisionTransformer(dropout=0.05)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * (len(digits.train) // BATCH))
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for images, labels in batches(digits.train, BATCH, generator):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels, label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
    model.eval()

    @torch.no_grad()
    def accuracy() -> float:
        return float((model(digits.test.images).argmax(-1) == digits.test.labels).double().mean())

    standard = accuracy()
    mulfree.convert(model)
    assert standard > 0.95
    assert accuracy() > standard - 0.01
