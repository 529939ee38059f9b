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
