"""Reading CIFAR-10, and the changes of its images."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mulfree.data import cifar10
from mulfree.data.augment import crop_and_flip, normalize
from mulfree.data.cifar10 import DamagedDataError, load_cifar10
from mulfree.data.locations import VARIABLE, MissingDataError, data_folder


def _published(folder: Path, monkeypatch: pytest.MonkeyPatch, payload: object = None) -> Path:
    """Files of the published form with 20 images each, and their sums taken for the published ones."""
    import hashlib

    generator = np.random.default_rng(0)
    (folder / cifar10.FOLDER).mkdir(parents=True)
    for sums in (cifar10._TRAIN, cifar10._TEST):
        for name in list(sums):
            pixels = generator.integers(0, 256, (20, 3072), dtype=np.uint8)
            batch = payload or {b"data": pixels, b"labels": [i % 10 for i in range(20)], b"batch_label": b"x"}
            content = pickle.dumps(batch, protocol=3).replace(b"cnumpy._core", b"cnumpy.core")
            (folder / cifar10.FOLDER / name).write_bytes(content)
            monkeypatch.setitem(sums, name, hashlib.md5(content, usedforsecurity=False).hexdigest())
    return folder


def test_reads_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_cifar10(_published(tmp_path, monkeypatch))
    assert data.train.pixels.shape == (100, 3, 32, 32)
    assert data.test.labels.tolist() == [i % 10 for i in range(20)]
    assert (len(data.train), len(data.test)) == (100, 20)


def test_a_changed_file_is_noticed_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _published(tmp_path, monkeypatch) / cifar10.FOLDER / "data_batch_1"
    monkeypatch.setattr(cifar10._Arrays, "load", lambda self: pytest.fail("unpickled"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedDataError, match="data_batch_1 is not the published file"):
        load_cifar10(tmp_path)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_nothing_but_arrays_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DamagedDataError, match="system has no place in the data"):
        load_cifar10(_published(tmp_path, monkeypatch, _Evil()))


def test_missing_data_say_where_they_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDataError, match="put the folder cifar-10-batches-py"):
        load_cifar10(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert data_folder() == tmp_path
    with pytest.raises(MissingDataError, match=f"no folder .*missing.*{VARIABLE}"):
        data_folder(str(tmp_path / "missing"))


@pytest.mark.slow
def test_the_published_files(tmp_path: Path) -> None:
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} is not set")
    packed = data_folder() / "cifar-10" / "restore.py"
    if not packed.exists():
        pytest.skip(f"no {packed}")
    subprocess.run([sys.executable, str(packed), str(tmp_path)], check=True, capture_output=True)
    data = load_cifar10(tmp_path)
    assert np.bincount(data.train.labels).tolist() == [5000] * 10
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
    shares = data.train.pixels / 255
    assert shares.mean((0, 2, 3)) == pytest.approx(cifar10.MEAN, abs=1e-4)
    assert shares.std((0, 2, 3)) == pytest.approx(cifar10.STD, abs=1e-4)


def test_crops_and_flips_are_those_of_padded_images() -> None:
    generator = np.random.default_rng(1)
    pixels = generator.integers(1, 256, (64, 3, 6, 5), dtype=np.uint8)
    out = crop_and_flip(pixels, 2, np.random.default_rng(2))
    padded = np.pad(pixels, ((0, 0), (0, 0), (2, 2), (2, 2)))
    seen = set()
    for image, changed in zip(padded, out, strict=True):
        found = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (1, -1)
            if np.array_equal(image[:, top : top + 6, left : left + 5][:, :, ::flip], changed)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(5))
    assert {flip for _, _, flip in seen} == {1, -1}
    assert np.array_equal(crop_and_flip(pixels, 0, np.random.default_rng(3), flip=False), pixels)


def test_normalization() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(3, 1)
    out = normalize(pixels, (0.1, 0.2, 0.3), (0.5, 0.25, 1.0))
    expected = (pixels / 255 - np.reshape((0.1, 0.2, 0.3), (1, 3, 1, 1))) / np.reshape((0.5, 0.25, 1.0), (1, 3, 1, 1))
    assert out.dtype == np.float32
    assert np.abs(out - expected).max() < 1e-6
