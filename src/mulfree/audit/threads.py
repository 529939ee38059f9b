"""Following threads: torch's dispatch modes hold for one thread, so each new one has to be joined.

A thread of Python's ``threading`` asks for a profile function as it starts. That call is taken as the moment to enter
the mode there. Threads of torch's autograd engine inherit the mode from torch itself. Callbacks of futures may run in a
thread of the communication, which torch starts without Python: they enter the mode themselves.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, Final

import torch
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode_stack,
    _pop_mode,
    _push_mode,
)

from mulfree.audit.interception import Interception

_CALLBACKS: Final = tuple(Interception(torch._C.Future, name) for name in ("then", "add_done_callback"))


class Threads:
    """Enters ``mode`` in every thread started, and every callback of a future given, between ``start`` and ``stop``."""

    def __init__(
        self, mode: TorchDispatchMode, callback: Callable[[], Callable[[], AbstractContextManager[None]]]
    ) -> None:
        """
        Args:
            callback: called when a callback is given; what it returns is entered around the callback.
        """
        self._mode, self._callback = mode, callback
        self._previous: Any = None

    def start(self) -> None:
        self._previous = threading.getprofile()
        threading.setprofile(self._first_call)
        for place in _CALLBACKS:
            place.add(self._given)

    def stop(self) -> None:
        threading.setprofile(self._previous)
        for place in _CALLBACKS:
            place.remove(self._given)

    def _given(self, _name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        future, callback, *rest = args
        entered = self._callback()

        @functools.wraps(callback)
        def followed(*values: Any) -> Any:
            with entered():
                if self._mode in _get_current_dispatch_mode_stack():
                    return callback(*values)
                _push_mode(self._mode)
                try:
                    return callback(*values)
                finally:
                    _pop_mode()

        return (future, followed, *rest)

    def _first_call(self, frame: FrameType, event: str, arg: Any) -> None:
        # Not the mode's own __enter__: that also keeps flags of the whole process, in the order of a stack.
        sys.setprofile(self._previous)
        _push_mode(self._mode)
        if self._previous is not None:
            self._previous(frame, event, arg)
