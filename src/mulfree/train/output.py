"""The folder of results: checked before training, filled only when everything is there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn


class OutputError(OSError):
    """The output folder cannot be used."""


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """A hidden folder inside ``path`` to write to; its files are moved up, each in one piece, at the end.

    If the block fails, or is interrupted, the files are discarded, and so is ``path`` if it is new and empty.

    Raises:
        OutputError: ``path`` cannot be made or written to.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(prefix=".unfinished-", dir=path)
    except OSError as error:
        _remove(missing)
        raise OutputError(f"cannot write to the output folder {path}: {error.strerror or error}") from None
    try:
        with staging as folder:
            yield Path(folder)
            for file in sorted(Path(folder).iterdir()):
                os.replace(file, path / file.name)
    except BaseException:
        _remove(missing)
        raise


def _remove(folders: list[Path]) -> None:
    """Remove those of the folders that are there and empty, innermost first."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a state dict on the CPU; read it with ``torch.load(path, weights_only=True)``."""
    torch.save({name: value.detach().cpu() for name, value in model.state_dict().items()}, path)


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line to a JSONL file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
