"""Images in folders by class, such as ImageNet's ``train/n01440764/*.JPEG`` and ``val/n01440764/*.JPEG``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mulfree.data.locations import MissingDataError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp"})


class UnreadableImageError(OSError):
    """A file is no image that can be decoded."""


@dataclass(frozen=True)
class ImageFolder:
    """Files with their labels; the label of a class is its place in the alphabetical order of the folders' names.

    Attributes:
        classes: names of the folders.
        files: paths.
        labels: of the files.
    """

    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.files)

    def image(self, index: int) -> Image:
        """RGB.

        Raises:
            UnreadableImageError: names the file.
        """
        from PIL import Image as module

        try:
            with module.open(self.files[index]) as image:
                return image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise UnreadableImageError(f"{self.files[index]} cannot be read as an image: {error}") from error


def list_folder(folder: Path) -> ImageFolder:
    """All images below the class folders of ``folder``, nothing opened.

    Raises:
        MissingDataError: no folder, no class folder, or no image in one of them.
    """
    if not folder.is_dir():
        raise MissingDataError(f"no folder {folder} with a folder of images for each class")
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    if not classes:
        raise MissingDataError(f"{folder} has no folder of images for each class")
    files, labels = [], []
    for label, name in enumerate(classes):
        found = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise MissingDataError(f"{folder / name} has no images")
        files += found
        labels += [label] * len(found)
    return ImageFolder(classes, tuple(files), tuple(labels))
