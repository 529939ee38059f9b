"""The operations of RandAugment (Cubuk et al., 2020) on PIL images, with strengths that grow with the magnitude.

The list, and what a magnitude of 0 to 10 means for each, are those of the pipeline that DeiT is trained with ("inc1" of
timm): all get stronger as the magnitude grows, and those with a direction take either with the same probability.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

TOP = 10.0
"""The greatest magnitude."""
Operation = Callable[["Image", float, np.random.Generator], "Image"]
"""An image, a share of the greatest magnitude, and where a direction is drawn from."""

GREY = (124, 116, 104)
"""Comes in where an image is moved away: ImageNet's mean."""


def _signed(value: float, generator: np.random.Generator) -> float:
    return -value if generator.random() < 0.5 else value


def _resampling(generator: np.random.Generator) -> Resampling:
    """Bilinear or bicubic interpolation."""
    from PIL import Image as module

    return (module.Resampling.BILINEAR, module.Resampling.BICUBIC)[int(generator.integers(2))]


def _moved(image: Image, matrix: tuple[float, ...], generator: np.random.Generator) -> Image:
    """By an affine map."""
    from PIL import Image as module

    resample = _resampling(generator)
    return image.transform(image.size, module.Transform.AFFINE, matrix, resample=resample, fillcolor=GREY)


def _shear_x(image: Image, share: float, generator: np.random.Generator) -> Image:
    return _moved(image, (1, _signed(0.3 * share, generator), 0, 0, 1, 0), generator)


def _shear_y(image: Image, share: float, generator: np.random.Generator) -> Image:
    return _moved(image, (1, 0, 0, _signed(0.3 * share, generator), 1, 0), generator)


def _translate_x(image: Image, share: float, generator: np.random.Generator) -> Image:
    return _moved(image, (1, 0, _signed(0.45 * share, generator) * image.width, 0, 1, 0), generator)


def _translate_y(image: Image, share: float, generator: np.random.Generator) -> Image:
    return _moved(image, (1, 0, 0, 0, 1, _signed(0.45 * share, generator) * image.height), generator)


def _rotate(image: Image, share: float, generator: np.random.Generator) -> Image:
    """By up to 30 degrees."""
    angle, resample = _signed(30 * share, generator), _resampling(generator)
    return image.rotate(angle, resample=resample, fillcolor=GREY)


def _enhanced(name: str, image: Image, share: float, generator: np.random.Generator) -> Image:
    """By a factor between 0.1 and 1.9."""
    from PIL import ImageEnhance

    factor = max(0.1, 1 + _signed(0.9 * share, generator))
    enhanced: Image = getattr(ImageEnhance, name)(image).enhance(factor)
    return enhanced


def _auto_contrast(image: Image, share: float, generator: np.random.Generator) -> Image:
    from PIL import ImageOps

    return ImageOps.autocontrast(image)


def _equalize(image: Image, share: float, generator: np.random.Generator) -> Image:
    from PIL import ImageOps

    return ImageOps.equalize(image)


def _invert(image: Image, share: float, generator: np.random.Generator) -> Image:
    from PIL import ImageOps

    return ImageOps.invert(image)


def _posterize(image: Image, share: float, generator: np.random.Generator) -> Image:
    """To 4 bits a channel, fewer with the magnitude; black at the greatest."""
    from PIL import ImageOps

    bits = 4 - int(4 * share)
    return ImageOps.posterize(image, bits) if bits else image.point(lambda value: 0)


def _solarize(image: Image, share: float, generator: np.random.Generator) -> Image:
    """Invert the values from a threshold on, which falls with the magnitude."""
    from PIL import ImageOps

    return ImageOps.solarize(image, 256 - int(256 * share))


def _solarize_add(image: Image, share: float, generator: np.random.Generator) -> Image:
    """Add up to 110 to values below 128."""
    added = min(128, int(110 * share))
    table = [min(255, value + added) if value < 128 else value for value in range(256)]
    return image.point(table * len(image.getbands()))


OPERATIONS: dict[str, Operation] = {
    "auto contrast": _auto_contrast,
    "equalize": _equalize,
    "invert": _invert,
    "rotate": _rotate,
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize add": _solarize_add,
    "color": partial(_enhanced, "Color"),
    "contrast": partial(_enhanced, "Contrast"),
    "brightness": partial(_enhanced, "Brightness"),
    "sharpness": partial(_enhanced, "Sharpness"),
    "shear x": _shear_x,
    "shear y": _shear_y,
    "translate x": _translate_x,
    "translate y": _translate_y,
}
"""By name."""


def rand_augment(image: Image, count: int, magnitude: float, spread: float, generator: np.random.Generator) -> Image:
    """``count`` operations drawn with replacement, each left out with probability 1/2.

    Args:
        image: RGB.
        count: operations that are drawn; 0 changes nothing.
        magnitude: 0 to 10; greater ones count as 10.
        spread: standard deviation of the magnitude, drawn anew for each operation; it stays within 0 and 10.
        generator: of all choices.
    """
    names = list(OPERATIONS)
    for index in generator.integers(0, len(names), count):
        if generator.random() < 0.5:
            continue
        drawn = generator.normal(magnitude, spread) if spread else magnitude
        image = OPERATIONS[names[int(index)]](image, min(max(drawn, 0.0), TOP) / TOP, generator)
    return image
