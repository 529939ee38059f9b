"""CIFAR-10 (Krizhevsky, 2009): 50,000 training and 10,000 test images of 32x32 pixels in ten classes.

Reads the published ``cifar-10-batches-py``: Python pickles, whose MD5 sums are compared with the published ones before
anything is unpickled, by an unpickler that knows arrays of numbers and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mulfree.data.locations import MissingDataError

CLASSES = 10
FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
PLACES = ("", "cifar-10", "cifar10")
"""Folders below the data folder that are looked into."""
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the training images' channels, as shares of 255."""
_TRAIN = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
}
_TEST = {"test_batch": "40351d587109b95175f43aff81a1287e"}
"""Published MD5 sums of the files."""


class DamagedDataError(ValueError):
    """A file of the data set is not the published one."""


@dataclass(frozen=True)
class Images:
    """Pixels ``(n, 3, 32, 32)`` uint8 and labels ``(n,)`` int64 in [0, 10)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class CIFAR10:
    """Both parts as published."""

    train: Images
    test: Images


def load_cifar10(folder: Path) -> CIFAR10:
    """The data set from the published files in ``folder``, in one of ``PLACES`` below it, or from the archive there.

    Raises:
        MissingDataError: neither ``cifar-10-batches-py`` nor ``cifar-10-python.tar.gz`` is there.
        DamagedDataError: a file is missing or does not have the published MD5 sum.
    """
    read = _reader(folder)
    return CIFAR10(train=_part(read, _TRAIN), test=_part(read, _TEST))


def _reader(folder: Path) -> Callable[[str], bytes]:
    for place in PLACES:
        parent = folder / place
        if (parent / FOLDER).is_dir():
            return lambda name: (parent / FOLDER / name).read_bytes()
        if (parent / ARCHIVE).is_file():
            return lambda name: _member(parent / ARCHIVE, name)
    raise MissingDataError(
        f"CIFAR-10 is not in {folder}: put the folder {FOLDER} or the file {ARCHIVE} there (the Python version from "
        "https://www.cs.toronto.edu/~kriz/cifar.html)"
    )


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as files:
        member = files.extractfile(f"{FOLDER}/{name}")
        if member is None:
            raise DamagedDataError(f"{archive} has no file {name}")
        return member.read()


def _part(read: Callable[[str], bytes], sums: dict[str, str]) -> Images:
    pixels, labels = [], []
    for name, expected in sums.items():
        try:
            content = read(name)
        except (OSError, KeyError, tarfile.TarError) as error:
            raise DamagedDataError(f"CIFAR-10: {name} cannot be read: {error}") from error
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != expected:
            raise DamagedDataError(f"CIFAR-10: {name} is not the published file: its MD5 sum is not {expected}")
        batch = _Arrays(io.BytesIO(content), encoding="bytes").load()
        pixels.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32))
        labels.append(np.asarray(batch[b"labels"], np.int64))
    return Images(np.concatenate(pixels), np.concatenate(labels))


class _Arrays(pickle.Unpickler):
    """Knows the classes that an array of numbers is made of."""

    _KNOWN = frozenset({("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._KNOWN:
            raise DamagedDataError(f"CIFAR-10: {module}.{name} has no place in the data")
        if name == "_reconstruct":
            return np.zeros(0).__reduce__()[0]  # wherever this NumPy keeps it
        return getattr(np, name)
