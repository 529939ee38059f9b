"""Following threads: torch's dispatch modes hold for one thread, so each new one has to be joined.

A thread of Python's ``threading`` asks for a profile function as it starts. That call is taken as the moment to enter
the mode there. Threads of torch's autograd engine inherit the mode from torch itself.
"""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode, _push_mode


class Threads:
    """Enters ``mode`` in every thread started between ``start`` and ``stop``."""

    def __init__(self, mode: TorchDispatchMode) -> None:
        self._mode = mode
        self._previous: Any = None

    def start(self) -> None:
        self._previous = threading.getprofile()
        threading.setprofile(self._first_call)

    def stop(self) -> None:
        threading.setprofile(self._previous)

    def _first_call(self, frame: FrameType, event: str, arg: Any) -> None:
        # Not the mode's own __enter__: that also keeps flags of the whole process, in the order of a stack.
        sys.setprofile(self._previous)
        _push_mode(self._mode)
        if self._previous is not None:
            self._previous(frame, event, arg)
