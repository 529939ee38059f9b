"""Where data sets are: the one place that reads an environment variable for them."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "MULFREE_DATA"


class MissingDataError(FileNotFoundError):
    """A data set is not where it is looked for; the message says where it should be."""


def data_path(folder: str | Path | None = None) -> Path:
    """``folder`` if given, else that of the environment variable ``MULFREE_DATA``, else ``data``; it may not exist."""
    return Path(folder or os.environ.get(VARIABLE) or "data").expanduser()


def data_folder(folder: str | None = None) -> Path:
    """``data_path``, where it is a folder.

    Raises:
        MissingDataError: it is no folder.
    """
    path = data_path(folder)
    if not path.is_dir():
        raise MissingDataError(
            f"no folder {path} with data sets; name it by data_dir in the recipe's task or by the environment variable "
            f"{VARIABLE}"
        )
    return path
