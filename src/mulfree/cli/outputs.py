"""Files that commands write: whether they can be, before anything is computed."""

from __future__ import annotations

from os.path import isdir
from pathlib import Path

from mulfree.train import ConfigError, OutputError


def check_output(option: str, path: Path | None, *suffixes: str) -> None:
    """The file that ``option`` names can be written, and its name ends in one of ``suffixes`` if there are any.

    A file that does not exist is made and removed.

    Raises:
        ConfigError: it has another name, is a folder, or is in one that does not exist.
        OutputError: it cannot be written.
    """
    if path is None:
        return
    if isdir(path):
        raise ConfigError(f"{option}: {path} is a folder")
    if suffixes and path.suffix.lower() not in suffixes:
        raise ConfigError(f"{option}: expected a name that ends in {' or '.join(suffixes)}, got {path}")
    if not isdir(path.absolute().parent):
        raise ConfigError(f"{option}: no folder {path.parent}")
    try:
        if path.is_file():
            path.open("ab").close()
        elif not path.exists():  # pipes and devices are left alone
            path.open("xb").close()
            path.unlink()
    except OSError as error:
        raise OutputError(f"{option}: cannot write {path}: {error.strerror or error}") from error


def make_folder(option: str, folder: Path) -> None:
    """Make the folder that ``option`` names, with those above it.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{option}: cannot make the folder {folder}: {error.strerror or error}") from error
