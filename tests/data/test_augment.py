"""Changes of training images: against their definitions, at the extremes, and in distribution."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image, ImageOps

from mulfree.data.augment import (
    centre_crop,
    colour_jitter,
    erase,
    mix,
    rand_augment,
    random_resized_crop,
    soft_targets,
)
from mulfree.data.augment.operations import GREY, OPERATIONS


def _image(width: int = 24, height: int = 20, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _array(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


GEOMETRIC = ("rotate", "shear x", "shear y", "translate x", "translate y")


@pytest.mark.parametrize("name", [*GEOMETRIC, "color", "contrast", "brightness", "sharpness", "solarize add"])
def test_no_strength_changes_nothing(name: str) -> None:
    image = _image()
    assert np.array_equal(_array(OPERATIONS[name](image, 0.0, np.random.default_rng(0))), _array(image))


def test_point_operations_are_their_definitions() -> None:
    image, generator = _image(), np.random.default_rng(0)
    x = _array(image)
    assert np.array_equal(_array(OPERATIONS["invert"](image, 0.5, generator)), 255 - x)
    for share, threshold in ((0.0, 256), (0.5, 128), (1.0, 0)):
        expected = np.where(x >= threshold, 255 - x, x)
        assert np.array_equal(_array(OPERATIONS["solarize"](image, share, generator)), expected)
    for share, added in ((0.5, 55), (1.0, 110)):
        expected = np.where(x < 128, np.minimum(255, x + added), x)
        assert np.array_equal(_array(OPERATIONS["solarize add"](image, share, generator)), expected)
    for share, bits in ((0.0, 4), (0.5, 2), (1.0, 0)):
        expected = x & ~(2 ** (8 - bits) - 1) & 255
        assert np.array_equal(_array(OPERATIONS["posterize"](image, share, generator)), expected)
    low = Image.fromarray((x // 4 + 60).astype(np.uint8))
    stretched = _array(OPERATIONS["auto contrast"](low, 0.5, generator))
    assert stretched.min() == 0
    assert stretched.max() == 255
    assert np.array_equal(_array(OPERATIONS["equalize"](low, 0.5, generator)), _array(ImageOps.equalize(low)))


def test_brightness_takes_both_directions() -> None:
    image = _image()
    means = {
        round(
            _array(OPERATIONS["brightness"](image, 1.0, np.random.default_rng(seed))).mean() / _array(image).mean(), 1
        )
        for seed in range(20)
    }
    assert len(means) == 2
    assert min(means) == pytest.approx(0.1, abs=0.05)
    assert max(means) > 1.3  # 1.9 but for what is cut off at white


def test_translations_move_by_whole_shares() -> None:
    image = _image(40, 40)
    x = _array(image)
    seen = set()
    for seed in range(12):
        moved = _array(OPERATIONS["translate x"](image, 10 / 18, np.random.default_rng(seed)))  # 0.25 of the width
        right = np.array_equal(moved[:, 10:], x[:, :-10]) and np.array_equal(moved[0, 0], GREY)
        left = np.array_equal(moved[:, :-10], x[:, 10:]) and np.array_equal(moved[0, -1], GREY)
        assert right != left
        seen.add(right)
    assert seen == {True, False}


def test_rand_augment_draws_each_operation_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()
    shares: list[float] = []
    for name in OPERATIONS:

        def note(image: Image.Image, share: float, generator: object, name: str = name) -> Image.Image:
            counts[name] += 1
            shares.append(share)
            return image

        monkeypatch.setitem(OPERATIONS, name, note)
    for seed in range(3000):
        rand_augment(_image(), 2, 9.0, 0.5, np.random.default_rng(seed))
    assert len(OPERATIONS) == 15
    assert sum(counts.values()) == pytest.approx(3000, rel=0.06)  # two, each with probability 1/2
    assert min(counts.values()) > 140
    assert max(counts.values()) < 260
    assert np.mean(shares) == pytest.approx(0.9, abs=0.01)
    assert np.std(shares) == pytest.approx(0.05, abs=0.005)
    assert max(shares) <= 1.0
    shares.clear()
    rand_augment(_image(), 8, 12.0, 0.0, np.random.default_rng(1))
    assert set(shares) == {1.0}
    assert rand_augment(_image(), 0, 9.0, 0.0, np.random.default_rng(0)) == _image()


def test_random_crops_keep_to_area_and_shape() -> None:
    gradient = np.zeros((200, 300, 3), np.uint8)
    gradient[..., 0] = np.arange(300) * 255 // 299
    gradient[..., 1] = np.arange(200)[:, None] * 255 // 199
    image = Image.fromarray(gradient)
    areas = []
    for seed in range(300):
        crop = _array(random_resized_crop(image, 32, np.random.default_rng(seed)))
        assert crop.shape == (32, 32, 3)
        width = (crop[:, -1, 0].mean() - crop[:, 0, 0].mean()) / 255 * 300 * 32 / 31
        height = (crop[-1, :, 1].mean() - crop[0, :, 1].mean()) / 255 * 200 * 32 / 31
        areas.append(width * height / 60_000)
        assert 0.65 < width / height < 1.5
    assert 0.06 < min(areas) < 0.13
    assert 0.8 < max(areas) < 0.95  # of the shapes that are allowed the largest covers 8/9
    narrow = random_resized_crop(_image(4, 400), 8, np.random.default_rng(0))
    assert narrow.size == (8, 8)


def test_centre_crops() -> None:
    image = _image(64, 64)
    assert np.array_equal(_array(centre_crop(image, 56, 0.875)), _array(image)[4:60, 4:60])
    assert centre_crop(_image(300, 100), 24).size == (24, 24)


def test_colour_jitter() -> None:
    image = _image()
    assert colour_jitter(image, 0.0, np.random.default_rng(0)) is image
    changes = [_array(colour_jitter(image, 0.1, np.random.default_rng(s))) - _array(image) for s in range(20)]
    assert 2 < max(np.abs(change).max() for change in changes) < 60
    assert len({int(change.sum()) for change in changes}) == 20


def test_erasing() -> None:
    images = np.full((400, 3, 16, 16), 7.0, np.float32)
    erase(images, 0.25, np.random.default_rng(0))
    changed = (images != 7.0).all(1)
    touched = changed.any((1, 2))
    assert 0.19 < touched.mean() < 0.31
    for mask in changed[touched]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[np.ix_(rows, columns)].all()  # a box
        assert 0.01 < mask.mean() < 0.4
        assert 0.2 < len(rows) / len(columns) < 5
    noise = images[images != 7.0]
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert noise.std() == pytest.approx(1, abs=0.05)


def test_soft_targets_are_torchs_smoothing() -> None:
    import torch

    labels, scores = np.array([1, 0, 4]), torch.randn(3, 5)
    targets = torch.from_numpy(soft_targets(labels, 5, 0.1))
    a = torch.nn.functional.cross_entropy(scores, targets)
    b = torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels), label_smoothing=0.1)
    assert float(a) == pytest.approx(float(b), rel=1e-6)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing(kind: str) -> None:
    generator = np.random.default_rng(0)
    images = np.stack([np.full((3, 20, 20), value, np.float32) for value in range(4)])
    targets = soft_targets(np.arange(4), 4, 0.0)
    shares = []
    for _ in range(60):
        options = (0.8, 0.0) if kind == "mixup" else (0.0, 1.0)
        mixed, soft = mix(images, targets, *options, generator)
        assert np.allclose(soft.sum(1), 1)
        share = float(soft[0, 0])
        shares.append(share)
        # Of an image of ones only the pixels' mean tells the share.
        assert mixed[0].mean() == pytest.approx(3 * (1 - share), abs=1e-4)
        assert mixed[2].mean() == pytest.approx(2 * share + (1 - share), abs=1e-4)
        if kind == "cutmix":
            assert set(np.unique(mixed[0])) <= {0.0, 3.0}
    assert min(shares) < 0.3
    assert max(shares) > 0.8
    assert np.array_equal(images[:, 0, 0, 0], np.arange(4))  # the originals are untouched


def test_both_kinds_of_mixing_take_turns() -> None:
    images = np.stack([np.full((3, 20, 20), value, np.float32) for value in range(4)])
    targets = soft_targets(np.arange(4), 4, 0.0)
    generator = np.random.default_rng(1)
    cut = sum(len(np.unique(mix(images, targets, 0.8, 1.0, generator)[0][0])) > 1 for _ in range(300))
    assert 100 < cut < 190
    unchanged = mix(images, targets, 0.0, 0.0, generator)
    assert unchanged[0] is images
    assert math.isclose(float(unchanged[1].sum()), 4.0)
