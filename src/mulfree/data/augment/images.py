"""Changes of single PIL images beside RandAugment: crops and colour jitter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
"""Shares of the area, and quotients of width and height, of a random crop (Szegedy et al., 2015)."""
_TRIES = 10


def random_resized_crop(image: Image, size: int, generator: np.random.Generator) -> Image:
    """A part of random area and shape, resized to ``size`` squared by bicubic interpolation.

    The logarithm of the quotient is uniform. After ten parts that do not fit, the middle is taken, cut to the nearest
    quotient that is allowed.
    """
    width, height = image.size
    for _ in range(_TRIES):
        area = width * height * generator.uniform(*SCALE)
        quotient = math.exp(generator.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * quotient)), round(math.sqrt(area / quotient))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(generator.integers(width - w + 1)), int(generator.integers(height - h + 1))
            return _resized(image, (left, top, left + w, top + h), size)
    w, h = width, height
    if width / height < RATIO[0]:
        h = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        w = round(height * RATIO[1])
    left, top = (width - w) // 2, (height - h) // 2
    return _resized(image, (left, top, left + w, top + h), size)


def _resized(image: Image, box: tuple[int, int, int, int], size: int) -> Image:
    from PIL import Image as module

    return image.resize((size, size), module.Resampling.BICUBIC, box=box)


def centre_crop(image: Image, size: int, share: float = 0.875) -> Image:
    """The shorter side resized to ``size / share`` by bicubic interpolation, then the middle ``size`` squared."""
    from PIL import Image as module

    shorter = int(size / share)
    factor = shorter / min(image.size)
    width, height = (max(shorter, round(side * factor)) for side in image.size)
    image = image.resize((width, height), module.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def colour_jitter(image: Image, strength: float, generator: np.random.Generator) -> Image:
    """Brightness, contrast and colour by factors uniform in 1 - ``strength`` to 1 + ``strength``, in random order."""
    from PIL import ImageEnhance

    if strength:
        for name in generator.permutation(["Brightness", "Contrast", "Color"]):
            factor = generator.uniform(max(0.0, 1 - strength), 1 + strength)
            image = getattr(ImageEnhance, str(name))(image).enhance(factor)
    return image
