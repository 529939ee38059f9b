"""Handwritten digits: a small Vision Transformer on the images that scikit-learn ships."""

from __future__ import annotations

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mulfree.data.digits import Split, load_digits
from mulfree.models.vit import VisionTransformer
from mulfree.train.errors import ConfigError
from mulfree.train.seeds import random_seed
from mulfree.train.settings import CHECKED, Count, Positive, Share
from mulfree.train.task import Batch, Batches


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class DigitsSettings:
    """``[task]`` with ``kind = "digits"``.

    Attributes:
        batch_size: images of a batch.
        label_smoothing: share of the target's probability that is spread over all classes.
        width, depth, heads, patch_size, dropout: of ``models.VisionTransformer``.
        images: training images that are used, the first of the split; 0 for all.
    """

    batch_size: Positive = 64
    label_smoothing: Share = 0.1
    width: Positive = 64
    depth: Positive = 2
    heads: Positive = 4
    patch_size: Positive = 2
    dropout: Share = 0.05
    images: Count = 0


class ShuffledBatches:
    """Batches of one epoch in an order drawn by ``seed``; an incomplete last one is left out."""

    def __init__(self, split: Split, batch_size: int, seed: int) -> None:
        self.split, self.batch_size = split, batch_size
        self.order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.split) // self.batch_size

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.split.images[chosen], self.split.labels[chosen]


class DigitsTask:
    """Digits by class; the held-out fifth is both validation and test data.

    Raises:
        ConfigError: a batch is larger than the training data, or sizes of the model do not fit each other.
    """

    score = "accuracy"

    def __init__(self, settings: DigitsSettings) -> None:
        self.settings = settings
        digits = load_digits()
        count = settings.images or len(digits.train)
        self.train = Split(digits.train.images[:count], digits.train.labels[:count], digits.train.indices[:count])
        self.held_out = digits.test
        if settings.batch_size > len(self.train):
            raise ConfigError(f"task.batch_size must be at most {len(self.train)}, got {settings.batch_size}")
        try:
            self.model()
        except ValueError as error:
            raise ConfigError(f"task: {error}") from None

    def model(self) -> nn.Module:
        s = self.settings
        return VisionTransformer(
            width=s.width, depth=s.depth, heads=s.heads, patch_size=s.patch_size, dropout=s.dropout
        )

    def criterion(self) -> nn.Module:
        return nn.CrossEntropyLoss(reduction="sum", label_smoothing=self.settings.label_smoothing)

    def batches(self, epoch: int, seed: int) -> Batches:
        return ShuffledBatches(self.train, self.settings.batch_size, random_seed(seed, epoch))

    def loss(self, model: nn.Module, criterion: nn.Module, batch: Batch) -> Tensor:
        images, labels = batch
        loss: Tensor = criterion(model(images), labels)
        return loss

    def count(self, batch: Batch) -> int:
        return len(batch[1])

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean cross-entropy without smoothing, in nats, and accuracy in [0, 1], on the held-out images."""
        device = next(model.parameters()).device
        scores = model(self.held_out.images.to(device))
        labels = self.held_out.labels.to(device)
        correct = (scores.argmax(dim=1) == labels).sum()
        loss = nn.functional.cross_entropy(scores, labels)
        return {"loss": float(loss), "accuracy": int(correct) / len(labels)}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return self.validate(model)
