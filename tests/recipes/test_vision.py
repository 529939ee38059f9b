"""The task of vision, on a few images."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mulfree as mf
from mulfree.data.cifar10 import CIFAR10, Images
from mulfree.recipes import load, vision
from mulfree.recipes.vision import VisionSettings, VisionTask
from mulfree.recipes.vision_data import AugmentSettings
from mulfree.train import ConfigError

pytest.importorskip("PIL")
from PIL import Image

HEAVY = AugmentSettings(
    resized_crop=True, operations=2, magnitude=9.0, spread=0.5, jitter=0.1, erasing=0.5, mixup=0.8, cutmix=1.0
)


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)

    def images(count: int) -> Images:
        pixels = generator.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        return Images(pixels, np.arange(count, dtype=np.int64) % 10)

    data = CIFAR10(images(40), images(20))
    monkeypatch.setattr(vision, "load_cifar10", lambda folder: data)
    monkeypatch.setenv("MULFREE_DATA", str(tmp_path))


def _task(**options: Any) -> VisionTask:
    return VisionTask(VisionSettings(**{"model": "resnet20", "batch_size": 8, **options}))


@pytest.mark.usefixtures("cifar")
@pytest.mark.parametrize("augment", [AugmentSettings(), HEAVY, AugmentSettings(operations=2, padding=2)])
def test_batches_are_functions_of_their_place(augment: AugmentSettings) -> None:
    task = _task(augment=augment, label_smoothing=0.1)
    batches = task.batches(0, 1)
    again = pickle.loads(pickle.dumps(task.batches(0, 1)))
    assert len(batches) == 5
    for index in (3, 0):
        images, targets = batches[index]
        assert images.shape == (8, 3, 32, 32)
        assert images.dtype is torch.float32
        assert targets.shape == ((8, 10) if augment.mixes else (8,))
        assert all(torch.equal(a, b) for a, b in zip(batches[index], again[index], strict=True))
        assert task.count(batches[index]) == 8
    assert not torch.equal(task.batches(1, 1)[0][0], batches[0][0])
    with pytest.raises(IndexError):
        batches[5]


@pytest.mark.usefixtures("cifar")
def test_every_image_is_used_once_an_epoch() -> None:
    task = _task(augment=AugmentSettings(padding=0, flip=False))
    seen = torch.cat([batch[0].flatten(1)[:, :7] for batch in (task.batches(0, 0)[i] for i in range(5))])
    assert len(torch.unique(seen, dim=0)) == 40


@pytest.mark.usefixtures("cifar")
@pytest.mark.parametrize("augment", [AugmentSettings(), HEAVY])
def test_a_step_without_multiplications(augment: AugmentSettings) -> None:
    task = _task(augment=augment, label_smoothing=0.1)
    torch.manual_seed(0)
    model, criterion = mf.convert(task.model()), mf.convert(task.criterion())
    batch = task.batches(0, 0)[0]
    with mf.audit() as audit:
        task.loss(model, criterion, batch).backward(torch.tensor(0.125))
    assert audit.multiplications == 0, str(audit)


@pytest.mark.usefixtures("cifar")
def test_measurements() -> None:
    task = _task(validation=10, images=24)
    torch.manual_seed(0)
    model = task.model().eval()
    with torch.no_grad():
        assert task.validate(model).keys() == {"loss", "accuracy"}
        found = task.evaluate(model)
    assert found["accuracy"] <= found["accuracy_top5"] <= 1
    assert len(task.batches(0, 0)) == 3


@pytest.mark.usefixtures("cifar")
def test_images_are_enlarged() -> None:
    task = _task(model="deit-tiny", image_size=64, augment=HEAVY)
    assert task.batches(0, 0)[0][0].shape == (8, 3, 64, 64)
    with torch.no_grad():
        assert task.model().eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


def test_class_folders(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "imagenet" / part / name).mkdir(parents=True)
            for i in range(4):
                pixels = generator.integers(0, 256, (40 + 5 * i, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "imagenet" / part / name / f"{i}.jpeg")
    task = _task(data="imagenet", data_dir=str(tmp_path), image_size=32, augment=HEAVY, model="resnext20")
    assert task.batches(0, 0)[0][0].shape == (8, 3, 32, 32)
    assert task.classes == 2
    half = _task(data="imagenet", data_dir=str(tmp_path), batch_size=2, validation=4, augment=AugmentSettings())
    assert sorted([*half.chosen, *half.held_out]) == list(range(8))
    assert half.chosen.tolist() != list(range(4))
    plain = _task(data="imagenet", data_dir=str(tmp_path), image_size=32, augment=AugmentSettings())
    assert plain.batches(0, 0)[0][1].bincount().tolist() == [4, 4]
    with torch.no_grad():
        assert 0 <= plain.evaluate(plain.model().eval())["accuracy"] <= 1
    (tmp_path / "imagenet" / "val" / "fox").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "imagenet" / "val" / "fox" / "0.png")
    with pytest.raises(ConfigError, match="train and val have different classes"):
        _task(data="imagenet", data_dir=str(tmp_path))


@pytest.mark.usefixtures("cifar")
def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, message in (
        ({"batch_size": 41}, "task.batch_size must be at most 40"),
        ({"images": 41}, "task.images and task.validation must be at most 40 together"),
        ({"model": "deit-tiny"}, None),
        ({"model": "deit-tiny", "image_size": 40}, "image_size must be a multiple of patch"),
        ({"data": "imagenet"}, "no folder .*imagenet"),
    ):
        if message is None:
            _task(**options)
            continue
        with pytest.raises(ConfigError, match=message):
            _task(**options)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="CIFAR-10 is not in"):
        _task(data_dir=str(tmp_path))
    with pytest.raises(ConfigError, match=r"no folder .*missing with data sets"):
        _task(data_dir=str(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("name", "batch", "lr", "decay", "epochs"),
    [
        ("cifar10-vgg13", 128, 0.05, 5e-4, 200),
        ("cifar10-resnet20", 256, 0.2, 2e-4, 200),
        ("cifar10-resnet110", 256, 0.2, 2e-4, 200),
        ("cifar10-resnext20", 128, 0.1, 5e-4, 200),
        ("cifar10-convmixer", 128, 0.01, 0.05, 100),
        ("cifar10-deit-tiny", 1024, 5e-4 * 1024 / 512, 0.05, 600),
        ("imagenet-deit-tiny", 1152, 5e-4 * 1152 / 512, 0.05, 300),
    ],
)
def test_recipes_have_the_settings_of_the_paper(name: str, batch: int, lr: float, decay: float, epochs: int) -> None:
    recipe = load(name)
    assert recipe.task.batch_size == batch
    assert recipe.optimizer.lr == pytest.approx(lr)
    assert recipe.optimizer.weight_decay == decay
    assert recipe.training.epochs == epochs
    assert not recipe.optimizer.decay_vectors
    schedule = recipe.schedule
    assert (schedule.warmup_epochs, schedule.warmup_start_lr, schedule.min_lr) == (5, 1e-6, 1e-5)
