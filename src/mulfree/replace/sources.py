"""Where in the user's code a call was made."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import torch

_HIDDEN = ("<frozen", str(Path(torch.__file__).parent), str(Path(__file__).parent.parent), sysconfig.get_path("stdlib"))


def user_line() -> str:
    """``file:line`` of the innermost frame outside torch, this package and Python's library; "" if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith(_HIDDEN) or ("site-packages" in filename and not filename.startswith(_HIDDEN[1:3])):
            path = Path(filename)
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            return f"{shown}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
