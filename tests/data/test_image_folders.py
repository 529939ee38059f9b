"""Class folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mulfree.data.image_folders import UnreadableImageError, list_folder
from mulfree.data.locations import MissingDataError

pytest.importorskip("PIL")
from PIL import Image


def test_classes_are_the_folders(tmp_path: Path) -> None:
    for name, count in (("b", 2), ("a", 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(np.full((4, 6), i, np.uint8)).save(tmp_path / name / f"{i}.PNG")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    found = list_folder(tmp_path)
    assert found.classes == ("a", "b")
    assert found.labels == (0, 1, 1)
    image = found.image(2)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (6, 4), (1, 1, 1))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no folder .*missing"):
        list_folder(tmp_path / "missing")
    with pytest.raises(MissingDataError, match="has no folder of images"):
        list_folder(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(MissingDataError, match="cat has no images"):
        list_folder(tmp_path)
    (tmp_path / "cat" / "x.jpeg").write_bytes(b"\xff\xd8 half")
    with pytest.raises(UnreadableImageError, match=r"x\.jpeg cannot be read as an image"):
        list_folder(tmp_path).image(0)
