"""Changes of a whole batch of small images at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def crop_and_flip(pixels: Pixels, padding: int, generator: np.random.Generator, *, flip: bool = True) -> Pixels:
    """Shift each image by up to ``padding`` pixels and mirror it with probability 1/2 (He et al., 2016a, section 4.2).

    Equal to padding by black pixels on all sides, then a random crop of the original size.

    Args:
        pixels: ``(n, channels, height, width)``.
        padding: pixels on each side; 0 for no shift.
        generator: three numbers are drawn for each image.
        flip: False for no mirroring.

    Returns:
        A new array of the same shape.
    """
    count, _, height, width = pixels.shape
    tops, lefts = generator.integers(0, 2 * padding + 1, (2, count))
    mirrored = (generator.random(count) < 0.5) & flip
    padded = np.pad(pixels, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    cropped: Pixels = windows[np.arange(count), :, tops, lefts]
    cropped[mirrored] = cropped[mirrored, :, :, ::-1]
    return cropped


def normalize(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """``(pixels / 255 - mean) / std`` for each channel, in float32."""
    table = np.arange(256, dtype=np.float64) / 255
    shape = (1, len(mean), 1, 1)
    levels = ((table - np.reshape(mean, (-1, 1))) / np.reshape(std, (-1, 1))).astype(np.float32)
    channels = np.arange(len(mean)).reshape(shape)
    found: NDArray[np.float32] = levels[channels, pixels]
    return found


Values = NDArray[np.float32]


def erase(
    images: Values,
    probability: float,
    generator: np.random.Generator,
    *,
    areas: tuple[float, float] = (0.02, 1 / 3),
    shapes: tuple[float, float] = (0.3, 1 / 0.3),
) -> None:
    """Random erasing (Zhong et al., 2020): a box of noise, normal for each pixel, in some of the images, in place.

    Args:
        images: ``(n, channels, height, width)``, normalized.
        probability: that an image gets a box.
        generator: of all choices.
        areas: least and greatest share of the area; uniform.
        shapes: least and greatest quotient of height and width; its logarithm is uniform.
    """
    count, channels, height, width = images.shape
    for index in np.flatnonzero(generator.random(count) < probability):
        for _ in range(10):
            area = height * width * generator.uniform(*areas)
            shape = np.exp(generator.uniform(*np.log(shapes)))
            h, w = round(float(np.sqrt(area * shape))), round(float(np.sqrt(area / shape)))
            if 0 < h < height and 0 < w < width:
                top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)
                noise = generator.standard_normal((channels, h, w), dtype=np.float32)
                images[index, :, top : top + h, left : left + w] = noise
                break


def soft_targets(labels: NDArray[np.int64], classes: int, smoothing: float) -> Values:
    """``(n, classes)``: 1 - smoothing + smoothing / classes for the label, smoothing / classes for the others."""
    found = np.full((len(labels), classes), smoothing / classes, np.float32)
    found[np.arange(len(labels)), labels] = 1 - smoothing + smoothing / classes
    return found


def mix(
    images: Values, targets: Values, mixup: float, cutmix: float, generator: np.random.Generator
) -> tuple[Values, Values]:
    """Each image with the one at the other end of the batch: mixup (Zhang et al., 2018) or CutMix (Yun et al., 2019).

    One share is drawn for the batch from a symmetric beta distribution. With both kinds each is taken half of the time.

    Args:
        images: ``(n, channels, height, width)``.
        targets: ``(n, classes)``.
        mixup, cutmix: parameter of the distribution; 0 for none of that kind.
        generator: of all choices.

    Returns:
        New images and targets; with CutMix the share is that of the pixels that stay.
    """
    cut = bool(cutmix) and (not mixup or generator.random() < 0.5)
    parameter = cutmix if cut else mixup
    if not parameter:
        return images, targets
    share = float(generator.beta(parameter, parameter))
    if cut:
        height, width = images.shape[2:]
        side = np.sqrt(1 - share)
        y, x = generator.integers(height), generator.integers(width)
        h, w = int(height * side), int(width * side)
        top, bottom = np.clip((y - h // 2, y + h // 2), 0, height)
        left, right = np.clip((x - w // 2, x + w // 2), 0, width)
        mixed = images.copy()
        mixed[:, :, top:bottom, left:right] = images[::-1, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        mixed = (share * images + (1 - share) * images[::-1]).astype(np.float32)
    return mixed, (share * targets + (1 - share) * targets[::-1]).astype(np.float32)
