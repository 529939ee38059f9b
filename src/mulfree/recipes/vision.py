"""Images by class: CIFAR-10 and ImageNet, and the networks of tables 2 and 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mulfree.data import cifar10
from mulfree.data.cifar10 import DamagedDataError, load_cifar10
from mulfree.data.image_folders import list_folder
from mulfree.data.locations import MissingDataError, data_folder
from mulfree.models.convmixer import ConvMixer
from mulfree.models.deit import DeiT
from mulfree.models.resnet import PreActivationResNet, ResNeXt20
from mulfree.models.vgg import VGG13
from mulfree.recipes.vision_data import AugmentedBatches, AugmentSettings, InMemory, OnDisk, Source, plain
from mulfree.train.errors import ConfigError
from mulfree.train.settings import CHECKED, Count, Positive, Share
from mulfree.train.task import Batch, Batches

ModelName = Literal["vgg13", "resnet20", "resnet110", "resnext20", "convmixer", "deit-tiny"]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MODELS: dict[ModelName, Callable[[int, int], nn.Module]] = {
    "vgg13": lambda classes, size: VGG13(classes),
    "resnet20": lambda classes, size: PreActivationResNet(20, classes),
    "resnet110": lambda classes, size: PreActivationResNet(110, classes),
    "resnext20": lambda classes, size: ResNeXt20(classes),
    "convmixer": lambda classes, size: ConvMixer(classes=classes),
    "deit-tiny": lambda classes, size: DeiT(image_size=size, classes=classes),
}
"""By name: from the number of classes and the size of the images."""
_EVALUATED = 1_600_000
"""Numbers of the images of a batch without gradients, at most."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class VisionSettings:
    """``[task]`` with ``kind = "vision"``.

    Attributes:
        model: "vgg13", "resnet20", "resnet110", "resnext20" (4x16), "convmixer" (256/8) or "deit-tiny" (patches of 16).
        data: "cifar10", or "imagenet": folders ``train`` and ``val`` with a folder of images for each class.
        folder: of ImageNet, below ``data_dir``.
        image_size: height and width that images are resized to.
        batch_size: images of a batch.
        label_smoothing: share of the target's probability that is spread over all classes.
        validation: training images that are held out and measured after each epoch, the last of CIFAR-10 and random
            ones of ImageNet, always the same; 0 for the test data, as in the paper.
        images: training images that are used, the first ones or, of ImageNet, random ones; 0 for all.
        data_dir: folder of the data sets; empty for the environment variable MULFREE_DATA.
        augment: of the training images.
    """

    model: ModelName
    data: Literal["cifar10", "imagenet"] = "cifar10"
    folder: str = "imagenet"
    image_size: Positive = 32
    batch_size: Positive = 128
    label_smoothing: Share = 0.0
    validation: Count = 0
    images: Count = 0
    data_dir: str = ""
    augment: AugmentSettings = Field(default_factory=AugmentSettings)


class VisionTask:
    """Images by class.

    Raises:
        ConfigError: the data are missing or damaged, a batch is larger than the training data, or the model does not
            fit the size of the images.
    """

    score = "accuracy"

    def __init__(self, settings: VisionSettings) -> None:
        self.settings = settings
        try:
            self._read(settings)
            self.model()
        except (MissingDataError, DamagedDataError, ValueError) as error:
            raise ConfigError(f"task: {error}") from None
        count = len(self.train.labels) - settings.validation
        kept = settings.images or count
        if not 0 < kept <= count:
            raise ConfigError(
                f"task.images and task.validation must be at most {len(self.train.labels)} together, got "
                f"{settings.images} and {settings.validation}"
            )
        if settings.batch_size > kept:
            raise ConfigError(f"task.batch_size must be at most {kept}, got {settings.batch_size}")
        order = np.arange(len(self.train.labels))
        if settings.data == "imagenet":  # listed class by class; a part shall have some of each
            np.random.default_rng(0).shuffle(order)
        self.chosen, self.held_out = order[:kept], order[count:]

    def _read(self, settings: VisionSettings) -> None:
        self.train: Source
        self.test: Source
        self.statistics: tuple[tuple[float, ...], tuple[float, ...]]
        folder = data_folder(settings.data_dir or None)
        if settings.data == "cifar10":
            data = load_cifar10(folder)
            self.train, self.test = InMemory(data.train), InMemory(data.test)
            self.classes, self.statistics = cifar10.CLASSES, (cifar10.MEAN, cifar10.STD)
            return
        train, test = (list_folder(folder / settings.folder / part) for part in ("train", "val"))
        if train.classes != test.classes:
            raise ValueError("the folders train and val have different classes")
        self.train, self.test = OnDisk(train), OnDisk(test)
        self.classes, self.statistics = len(train.classes), (IMAGENET_MEAN, IMAGENET_STD)

    def model(self) -> nn.Module:
        return _MODELS[self.settings.model](self.classes, self.settings.image_size)

    def criterion(self) -> nn.Module:
        """Where images are mixed the targets are smoothed before, as shares."""
        smoothing = 0.0 if self.settings.augment.mixes else self.settings.label_smoothing
        return nn.CrossEntropyLoss(reduction="sum", label_smoothing=smoothing)

    def batches(self, epoch: int, seed: int) -> Batches:
        s = self.settings
        return AugmentedBatches(
            self.train, self.chosen, batch_size=s.batch_size, augment=s.augment, image_size=s.image_size,
            classes=self.classes, smoothing=s.label_smoothing, statistics=self.statistics, place=(seed, epoch),
        )  # fmt: skip

    def loss(self, model: nn.Module, criterion: nn.Module, batch: Batch) -> Tensor:
        images, targets = batch
        loss: Tensor = criterion(model(images), targets)
        return loss

    def count(self, batch: Batch) -> int:
        return len(batch[1])

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean cross-entropy in nats and accuracy in [0, 1] on the held-out images, which may be the test data."""
        if self.settings.validation:
            return self._measured(model, self.train, self.held_out)
        return self._measured(model, self.test, np.arange(len(self.test.labels)))

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """The same on the test data, and whether the class is among the five likeliest."""
        return self._measured(model, self.test, np.arange(len(self.test.labels)), top5=True)

    def _measured(
        self, model: nn.Module, source: Source, chosen: NDArray[np.int64], top5: bool = False
    ) -> dict[str, float]:
        device, size = next(model.parameters()).device, self.settings.image_size
        step = max(1, _EVALUATED // (3 * size * size))
        loss = correct = among = 0.0
        for start in range(0, len(chosen), step):
            images, labels = plain(source, chosen[start : start + step], size, self.statistics)
            scores, labels = model(images.to(device)), labels.to(device)
            loss += float(nn.functional.cross_entropy(scores, labels, reduction="sum"))
            likeliest = scores.topk(min(5, self.classes), dim=1).indices == labels[:, None]
            correct += int(likeliest[:, 0].sum())
            among += int(likeliest.sum())
        found = {"loss": loss / len(chosen), "accuracy": correct / len(chosen)}
        return found | ({"accuracy_top5": among / len(chosen)} if top5 else {})
