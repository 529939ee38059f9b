"""Where in the user's code a call was made, found on Python's stack."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Final

import torch

_TORCH: Final = str(Path(torch.__file__).parent)
_PACKAGE: Final = Path(__file__).parent.parent
_STANDARD_LIBRARY: Final = sysconfig.get_path("stdlib")
_PROGRAMS: Final = tuple(str(_PACKAGE / part) for part in ("models", "data", "train", "recipes", "analysis", "cli"))
"""Floors of this package that use the library as anyone would."""


@lru_cache(maxsize=4096)
def is_library(filename: str) -> bool:
    """True for files of torch, of this library and of Python's own."""
    if filename.startswith(_STANDARD_LIBRARY) and "site-packages" not in filename:
        return True
    if filename.startswith(str(_PACKAGE)):
        return not filename.startswith(_PROGRAMS)
    return filename.startswith(("<frozen", _TORCH))


@lru_cache(maxsize=4096)
def _shortened(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def user_line(frame: FrameType | None = None, passing: Callable[[str], bool] | None = None) -> str:
    """``file:line`` of the innermost frame of the user's code; empty if there is none.

    Args:
        frame: where to begin; the caller's frame if None.
        passing: is told the file of each frame of a library on the way, and ends the search with False.
    """
    here: FrameType | None = frame or sys._getframe(1)
    while here is not None:
        filename = here.f_code.co_filename
        if not is_library(filename):
            return f"{_shortened(filename)}:{here.f_lineno}"
        if passing is not None and not passing(filename):
            break
        here = here.f_back
    return ""
