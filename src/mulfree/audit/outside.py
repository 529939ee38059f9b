"""What happens outside of torch's dispatcher, where an audit cannot follow but can tell.

- Compiled graphs: functions given to ``torch.compile`` are made to run eagerly, so their operations are seen. A graph
  that was compiled before may still run, for example as the backward pass of an earlier forward pass; Inductor's
  calls of its code are intercepted and count as unknown operations.
- Values that leave torch: ``Tensor.numpy`` and the like.
- Processes that are started, such as the workers of a data loader.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from typing import Any, Final

import torch
from torch import Tensor

from mulfree.audit.interception import Interception, Listener

_LEAVING: Final = tuple(Interception(Tensor, name) for name in ("numpy", "tolist", "__dlpack__"))
_PROCESSES: Final = Interception(BaseProcess, "start")
_INDUCTOR: Final = "torch._inductor.output_code"
_compiled: dict[str, Interception] = {}


class Outside:
    """Reports what it sees, between ``start`` and ``stop``."""

    def __init__(self, left: Callable[[str], None], compiled: Callable[[str, tuple[Any, ...]], None]) -> None:
        """
        Args:
            left: is told what left torch's view.
            compiled: is told the name of Inductor's class and the inputs when a compiled graph runs.
        """

        def leaving(name: str, args: tuple[Any, ...]) -> None:
            if args[0].is_floating_point() or args[0].is_complex():
                left(f"Tensor.{name}")

        self._eager = ExitStack()
        self._placed: list[tuple[Interception, Listener]] = []
        self._leaving: Listener = leaving
        self._starting: Listener = lambda name, args: left("a new process")
        self._running: Listener = lambda name, args: compiled(type(args[0]).__name__, args[1:])

    def start(self) -> None:
        # Below a dispatch mode torch compiles nothing, but then it never will: the stance makes no such mark. Where its
        # compiler was never imported there is no compiled function yet.
        if "torch._dynamo" in sys.modules:
            self._eager.enter_context(torch.compiler.set_stance("force_eager"))
        places = [*((place, self._leaving) for place in _LEAVING), (_PROCESSES, self._starting)]
        places += [(place, self._running) for place in _inductor()]
        for place, listener in places:
            place.add(listener)
            self._placed.append((place, listener))

    def stop(self) -> None:
        for place, listener in self._placed:
            place.remove(listener)
        self._placed = []
        self._eager.close()


def _inductor() -> tuple[Interception, ...]:
    """Calls of Inductor's graphs; none where Inductor was never imported, since then it has compiled nothing."""
    module = sys.modules.get(_INDUCTOR)
    if module is None:
        return ()
    for name in ("CompiledFxGraph", "CompiledAOTI"):
        if name not in _compiled and hasattr(module, name):
            _compiled[name] = Interception(getattr(module, name), "__call__")
    if "CompiledFxGraph" not in _compiled:
        raise RuntimeError(
            f"mulfree.audit: this torch has no {_INDUCTOR}.CompiledFxGraph; compiled code cannot be seen"
        )
    return tuple(_compiled.values())
