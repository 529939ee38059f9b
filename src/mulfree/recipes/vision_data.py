"""Batches of images: CIFAR-10 in memory or class folders on disk, changed at random in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from mulfree.data.augment import (
    centre_crop,
    colour_jitter,
    crop_and_flip,
    erase,
    mix,
    normalize,
    rand_augment,
    random_resized_crop,
    soft_targets,
)
from mulfree.data.cifar10 import Images
from mulfree.data.image_folders import ImageFolder
from mulfree.train.seeds import random_seed
from mulfree.train.settings import CHECKED, Count, Flag, NotNegative, Share
from mulfree.train.task import Batch

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class AugmentSettings:
    """``[task.augment]``: random changes of training images, in this order.

    Attributes:
        resized_crop: a random part of random size and shape, resized to the task's ``image_size`` (bicubic).
        padding: without ``resized_crop`` the greatest shift in pixels, in both directions; black comes in.
        flip: mirror half of the images.
        operations, magnitude, spread: of RandAugment; see ``data.augment.rand_augment``.
        jitter: strength of the colour jitter.
        erasing: probability of erasing a box.
        mixup, cutmix: parameters of their distributions; see ``data.augment.mix``.
    """

    resized_crop: Flag = False
    padding: Count = 4
    flip: Flag = True
    operations: Count = 0
    magnitude: NotNegative = 9.0
    spread: NotNegative = 0.0
    jitter: Share = 0.0
    erasing: Share = 0.0
    mixup: NotNegative = 0.0
    cutmix: NotNegative = 0.0

    @property
    def single(self) -> bool:
        """True if images are changed one by one."""
        return bool(self.resized_crop or self.operations or self.jitter)

    @property
    def mixes(self) -> bool:
        """True if targets are shares of classes."""
        return bool(self.mixup or self.cutmix)


class Source(Protocol):
    """Labelled images."""

    @property
    def labels(self) -> NDArray[np.int64]: ...

    def pixels(self, chosen: NDArray[np.int64]) -> Pixels | None:
        """Images that have one size, ``(n, 3, height, width)``; None if they have not."""
        ...

    def image(self, index: int) -> Image:
        """One image, RGB."""
        ...


class InMemory:
    """Images of one size."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.labels = images.labels

    def pixels(self, chosen: NDArray[np.int64]) -> Pixels | None:
        return self._images.pixels[chosen]

    def image(self, index: int) -> Image:
        from PIL import Image as module

        return module.fromarray(np.ascontiguousarray(self._images.pixels[index].transpose(1, 2, 0)))


class OnDisk:
    """Images in class folders."""

    def __init__(self, folder: ImageFolder) -> None:
        self._folder = folder
        self.labels = np.asarray(folder.labels, np.int64)

    def pixels(self, chosen: NDArray[np.int64]) -> Pixels | None:
        return None

    def image(self, index: int) -> Image:
        return self._folder.image(index)


def _stacked(images: list[Image]) -> Pixels:
    return np.stack([np.asarray(image, np.uint8) for image in images]).transpose(0, 3, 1, 2)


def _size(image: Image, size: int) -> Image:
    """Square images resized, others cut in the middle."""
    from PIL import Image as module

    if image.size == (size, size):
        return image
    if image.width == image.height:
        return image.resize((size, size), module.Resampling.BICUBIC)
    return centre_crop(image, size)


def _pixels(source: Source, chosen: NDArray[np.int64], size: int) -> Pixels:
    """Images as they are but for their size."""
    pixels = source.pixels(chosen)
    if pixels is None or pixels.shape[2] != size:
        pixels = _stacked([_size(source.image(int(index)), size) for index in chosen])
    return pixels


class AugmentedBatches:
    """Shuffled batches of one epoch, each a function of (seed, epoch, index); an incomplete last one is left out.

    Args:
        source: all images.
        chosen: indices of those that are used.
        batch_size: images of a batch.
        augment: changes.
        image_size: height and width of the result.
        classes: number of classes.
        smoothing: of targets that are shares, which come with mixing.
        statistics: mean and standard deviation of the channels.
        place: seed and epoch.
    """

    def __init__(
        self,
        source: Source,
        chosen: NDArray[np.int64],
        *,
        batch_size: int,
        augment: AugmentSettings,
        image_size: int,
        classes: int,
        smoothing: float,
        statistics: tuple[tuple[float, ...], tuple[float, ...]],
        place: tuple[int, int],
    ) -> None:
        self.source, self.batch_size, self.augment, self.image_size = source, batch_size, augment, image_size
        self.classes, self.smoothing, self.statistics, self.place = classes, smoothing, statistics, place
        self.order = chosen[np.random.default_rng(random_seed(*place)).permutation(len(chosen))]

    def __len__(self) -> int:
        return len(self.order) // self.batch_size

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        generator = np.random.default_rng(random_seed(*self.place, index))
        values = normalize(self._changed(chosen, generator), *self.statistics)
        labels = self.source.labels[chosen]
        if self.augment.erasing:
            erase(values, self.augment.erasing, generator)
        if not self.augment.mixes:
            return torch.from_numpy(values), torch.from_numpy(labels)
        targets = soft_targets(labels, self.classes, self.smoothing)
        values, targets = mix(values, targets, self.augment.mixup, self.augment.cutmix, generator)
        return torch.from_numpy(values), torch.from_numpy(targets)

    def _changed(self, chosen: NDArray[np.int64], generator: np.random.Generator) -> Pixels:
        if self.augment.single:
            return _stacked([self._one(int(index)) for index in chosen])
        pixels = _pixels(self.source, chosen, self.image_size)
        return crop_and_flip(pixels, self.augment.padding, generator, flip=self.augment.flip)

    def _one(self, index: int) -> Image:
        """One image; its choices are drawn by (seed, epoch, image)."""
        from PIL import ImageOps

        augment, generator = self.augment, np.random.default_rng(random_seed(*self.place, index, 1))
        image = self.source.image(index)
        if augment.resized_crop:
            image = random_resized_crop(image, self.image_size, generator)
            if augment.flip and generator.random() < 0.5:
                image = ImageOps.mirror(image)
        else:
            image = _size(image, self.image_size)
            moved = crop_and_flip(_stacked([image]), augment.padding, generator, flip=augment.flip)
            image = InMemory(Images(moved, np.zeros(1, np.int64))).image(0)
        image = rand_augment(image, augment.operations, augment.magnitude, augment.spread, generator)
        return colour_jitter(image, augment.jitter, generator)


def plain(
    source: Source, chosen: NDArray[np.int64], image_size: int, statistics: tuple[tuple[float, ...], tuple[float, ...]]
) -> Batch:
    """Images as they are but for their size, and labels."""
    return torch.from_numpy(normalize(_pixels(source, chosen, image_size), *statistics)), torch.from_numpy(
        source.labels[chosen]
    )
