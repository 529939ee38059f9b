"""The handwritten digits that scikit-learn ships: 1797 images of 8x8 pixels in ten classes, no download."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

CLASSES = 10
HELD_OUT_FIFTH = 5
"""Every fifth image of a class, in a fixed random order, is held out."""
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Split:
    """Images ``(n, 1, 8, 8)`` float32 in [0, 1], labels ``(n,)`` int64, and their rows ``(n,)`` in the source."""

    images: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return self.labels.shape[0]

    def to(self, device: torch.device) -> Split:
        return Split(self.images.to(device), self.labels.to(device), self.indices)


@dataclass(frozen=True)
class Digits:
    """Training and held-out part."""

    train: Split
    test: Split


def load_digits() -> Digits:
    """Read the digits and split them, always alike: a fifth of every class is held out.

    The pixels, whole numbers from 0 to 16, are scaled by 1/16. That is data preparation, and exact.
    """
    from sklearn.datasets import load_digits as read

    source = read()
    images = torch.from_numpy(source.images).to(torch.float32).div(16).unsqueeze(1)
    labels = torch.from_numpy(source.target).to(torch.int64)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(_SPLIT_SEED))
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(CLASSES):
        held_out[order[labels[order] == digit][::HELD_OUT_FIFTH]] = True

    def part(mask: Tensor) -> Split:
        indices = mask.nonzero().squeeze(1)
        return Split(images[indices].contiguous(), labels[indices].contiguous(), indices)

    return Digits(train=part(~held_out), test=part(held_out))


def batches(split: Split, batch_size: int, generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels in batches, shuffled by ``generator`` if there is one.

    With a generator an incomplete last batch is left out, so that every training step has the same size;
    without one the order is that of the split and nothing is left out.

    Raises:
        ValueError: ``batch_size`` is not in [1, len(split)].
    """
    if not 1 <= batch_size <= len(split):
        raise ValueError(f"batch_size must be 1 to {len(split)}, got {batch_size}")
    if generator is None:
        for start in range(0, len(split), batch_size):
            yield split.images[start : start + batch_size], split.labels[start : start + batch_size]
        return
    order = torch.randperm(len(split), generator=generator).to(split.labels.device)
    for start in range(0, len(split) - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size]
        yield split.images[chosen], split.labels[chosen]
