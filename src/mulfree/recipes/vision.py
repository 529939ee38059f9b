"""Images by class: CIFAR-10 and the networks of table 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mulfree.data.augment import crop_and_flip, normalize
from mulfree.data.cifar10 import MEAN, STD, DamagedDataError, Images, load_cifar10
from mulfree.data.locations import MissingDataError, data_folder
from mulfree.models.convmixer import ConvMixer
from mulfree.models.resnet import PreActivationResNet, ResNeXt20
from mulfree.models.vgg import VGG13
from mulfree.train.checkpoints import random_seed
from mulfree.train.errors import ConfigError
from mulfree.train.settings import CHECKED, Count, Flag, Positive, Share
from mulfree.train.task import Batch, Batches

ModelName = Literal["vgg13", "resnet20", "resnet110", "resnext20", "convmixer"]
_MODELS: dict[ModelName, Callable[[], nn.Module]] = {
    "vgg13": VGG13,
    "resnet20": lambda: PreActivationResNet(20),
    "resnet110": lambda: PreActivationResNet(110),
    "resnext20": ResNeXt20,
    "convmixer": ConvMixer,
}
_EVALUATED = 500
"""Images of a batch without gradients."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class AugmentSettings:
    """``[task.augment]``: random changes of training images.

    Attributes:
        padding: greatest shift in pixels, in both directions; black comes in.
        flip: mirror half of the images.
    """

    padding: Count = 4
    flip: Flag = True


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class VisionSettings:
    """``[task]`` with ``kind = "vision"``.

    Attributes:
        model: "vgg13", "resnet20", "resnet110", "resnext20" (4x16) or "convmixer" (256/8).
        batch_size: images of a batch.
        label_smoothing: share of the target's probability that is spread over all classes.
        validation: images at the end of the training data that are held out and measured after each epoch; 0 for the
            test data, as in the paper.
        images: training images that are used, the first ones; 0 for all.
        data_dir: folder of the data sets; empty for the environment variable MULFREE_DATA.
        augment: of the training images.
    """

    model: ModelName
    batch_size: Positive = 128
    label_smoothing: Share = 0.0
    validation: Count = 0
    images: Count = 0
    data_dir: str = ""
    augment: AugmentSettings = Field(default_factory=AugmentSettings)


class AugmentedBatches:
    """Shuffled batches of one epoch, each changed at random as a function of (seed, epoch, index)."""

    def __init__(self, images: Images, settings: VisionSettings, epoch: int, seed: int) -> None:
        self.images, self.settings, self.place = images, settings, (seed, epoch)
        self.order = np.random.default_rng(random_seed(seed, epoch)).permutation(len(images))

    def __len__(self) -> int:
        return len(self.images) // self.settings.batch_size

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        size, augment = self.settings.batch_size, self.settings.augment
        chosen = self.order[index * size : (index + 1) * size]
        generator = np.random.default_rng(random_seed(*self.place, index))
        pixels = crop_and_flip(self.images.pixels[chosen], augment.padding, generator, flip=augment.flip)
        return torch.from_numpy(normalize(pixels, MEAN, STD)), torch.from_numpy(self.images.labels[chosen])


class VisionTask:
    """CIFAR-10 by class.

    Raises:
        ConfigError: the data are missing or damaged, or a batch is larger than the training data.
    """

    score = "accuracy"

    def __init__(self, settings: VisionSettings) -> None:
        self.settings = settings
        try:
            data = load_cifar10(data_folder(settings.data_dir or None))
        except (MissingDataError, DamagedDataError) as error:
            raise ConfigError(str(error)) from None
        count = len(data.train)
        kept = settings.images or count - settings.validation
        if not 0 < kept <= count - settings.validation:
            raise ConfigError(f"task.images and task.validation must be at most {count} together, got {settings}")
        self.train = Images(data.train.pixels[:kept], data.train.labels[:kept])
        self.test = held_out = data.test
        if settings.validation:
            first = count - settings.validation
            held_out = Images(data.train.pixels[first:], data.train.labels[first:])
        self.held_out = held_out
        if settings.batch_size > kept:
            raise ConfigError(f"task.batch_size must be at most {kept}, got {settings.batch_size}")

    def model(self) -> nn.Module:
        return _MODELS[self.settings.model]()

    def criterion(self) -> nn.Module:
        return nn.CrossEntropyLoss(reduction="sum", label_smoothing=self.settings.label_smoothing)

    def batches(self, epoch: int, seed: int) -> Batches:
        return AugmentedBatches(self.train, self.settings, epoch, seed)

    def loss(self, model: nn.Module, criterion: nn.Module, batch: Batch) -> Tensor:
        images, labels = batch
        loss: Tensor = criterion(model(images), labels)
        return loss

    def count(self, batch: Batch) -> int:
        return len(batch[1])

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean cross-entropy in nats and accuracy in [0, 1] on the held-out images, which may be the test data."""
        return measured(model, self.held_out)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """The same on the test data, and whether the class is among the five likeliest."""
        return measured(model, self.test, top5=True)


def measured(model: nn.Module, images: Images, top5: bool = False) -> dict[str, float]:
    """Mean cross-entropy and accuracies of a model on images as they are."""
    device = next(model.parameters()).device
    loss = correct = among = 0.0
    for start in range(0, len(images), _EVALUATED):
        part = slice(start, start + _EVALUATED)
        labels = torch.from_numpy(images.labels[part]).to(device)
        scores = model(torch.from_numpy(normalize(images.pixels[part], MEAN, STD)).to(device))
        loss += float(nn.functional.cross_entropy(scores, labels, reduction="sum"))
        likeliest = scores.topk(5, dim=1).indices == labels[:, None]
        correct += int(likeliest[:, 0].sum())
        among += int(likeliest.sum())
    found = {"loss": loss / len(images), "accuracy": correct / len(images)}
    return found | ({"accuracy_top5": among / len(images)} if top5 else {})
