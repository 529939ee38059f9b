"""Being told of calls that do not pass through torch's dispatcher."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

Listener = Callable[[str, tuple[Any, ...]], tuple[Any, ...] | None]
"""Gets the method's name and the positional arguments, the object first, before the call is made; it may return others
to take their place."""


class Interception:
    """Tells listeners of every call of a method, from any thread; without listeners the class is as it was."""

    def __init__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name
        self._listeners: list[Listener] = []
        self._inherited = False
        self._original: Any = None
        self._lock = threading.Lock()

    def add(self, listener: Listener) -> None:
        with self._lock:
            if not self._listeners:
                self._install()
            self._listeners = [*self._listeners, listener]

    def remove(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = [other for other in self._listeners if other != listener]
            if not self._listeners:
                self._restore()

    def _install(self) -> None:
        self._inherited = self._name not in vars(self._owner)
        self._original = original = getattr(self._owner, self._name)

        @functools.wraps(original)
        def intercepted(*args: Any, **kwargs: Any) -> Any:
            for listener in self._listeners:
                args = listener(self._name, args) or args
            return original(*args, **kwargs)

        setattr(self._owner, self._name, intercepted)

    def _restore(self) -> None:
        if self._inherited:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._original)
