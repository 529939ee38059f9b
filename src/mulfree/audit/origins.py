"""Where a call came from: module path, phase and source line, in the forward and in the backward pass.

PyTorch numbers the nodes of the autograd graph in the order in which a thread's forward pass makes them. Noting that
number whenever a module is entered or left and whenever an operation runs tells, in the backward pass, which
module and line made the node that is being differentiated.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from mulfree.audit.report import Phase
from mulfree.audit.sources import Site, site


@dataclass(frozen=True, slots=True)
class Origin:
    module: str
    phase: Phase
    source: str


class _Thread(threading.local):
    """What one thread is running, and the nodes it has made."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.in_optimizer = False
        self.callback_of: str | None = None  # the module that gave the callback that runs
        self.newest_node = _next_node() - 1
        self.nodes = _Nodes()


class _Nodes:
    """Where the nodes of one thread were made."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._places: list[tuple[str, str]] = []

    def note(self, node: int, module: str, source: str = "") -> None:
        """The nodes from number ``node`` on, up to the next note, come from here."""
        self._numbers.append(node)
        self._places.append((module, source))

    def place(self, node: int) -> tuple[str, str]:
        position = bisect_right(self._numbers, node)
        return self._places[position - 1] if position else ("", "")

    def __bool__(self) -> bool:
        return bool(self._numbers)


def _next_node() -> int:
    """Number that the next node of this thread will get."""
    number: int = torch._C._autograd._get_sequence_nr()
    return number


class Origins:
    """Follows modules and optimizers while its hooks are in place.

    Args:
        model: modules and parameters are named as in its ``named_modules``; without it, as in the outermost module
            that runs.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        self._handles: list[RemovableHandle] = []
        self._model = model
        self._names: dict[int, str] = {}
        self._owners: dict[int, str] = {}
        self._thread = _Thread()
        self._first_nodes = self._thread.nodes
        if model is not None:
            self._learn(model)

    def start(self) -> None:
        self._first_nodes = self._thread.nodes  # of the thread that enters the block
        self._handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
            register_optimizer_step_pre_hook(self._enter_optimizer),
            register_optimizer_step_post_hook(self._leave_optimizer),
        ]

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _learn(self, root: nn.Module) -> None:
        for path, module in root.named_modules():
            name = path or type(module).__name__
            self._names[id(module)] = name
            self._owners.update((id(parameter), name) for parameter in module.parameters(recurse=False))

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        thread = self._thread
        if not thread.running and self._model is None:
            self._learn(module)
        thread.running.append(self._names.get(id(module)) or type(module).__name__)
        thread.nodes.note(_next_node(), thread.running[-1])

    def _leave(self, _module: nn.Module, _inputs: Any, _result: Any) -> None:
        thread = self._thread
        if thread.running:
            thread.running.pop()
            thread.nodes.note(_next_node(), thread.running[-1] if thread.running else "")

    def _enter_optimizer(self, optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._thread.in_optimizer = True
        self._thread.running.append(type(optimizer).__name__)

    def _leave_optimizer(self, _optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._thread.in_optimizer = False
        if self._thread.running:
            self._thread.running.pop()

    def callback(self) -> Callable[[], AbstractContextManager[None]]:
        """What to enter around a callback that is given now, in whichever thread it will run: there, what runs belongs
        to the communication between processes and to the module that gave the callback."""
        giver = self._module_now()

        @contextmanager
        def entered() -> Iterator[None]:
            thread = self._thread
            outer, thread.callback_of = thread.callback_of, giver
            try:
                yield
            finally:
                thread.callback_of = outer

        return entered

    def _module_now(self) -> str:
        running, node = self._thread.running, torch._C._current_autograd_node()
        if running:
            return running[-1]
        return "" if node is None else self._of_node(node)[0]

    def of_call(self, frame: FrameType | None = None) -> Origin:
        """Origin of the operation that runs now; called by the dispatch mode."""
        frame = frame or sys._getframe(1)
        thread = self._thread
        node: torch.autograd.graph.Node | None = torch._C._current_autograd_node()
        module = thread.running[-1] if thread.running else ""
        if node is None:
            here = site(frame, within_backward=False)
            phase: Phase = "optimizer" if thread.in_optimizer else here.phase or "forward"
        else:
            made_in, made_at = self._of_node(node)
            module = module or made_in
            here = site(frame, within_backward=True)
            if not here.source:
                here = Site(made_at or site(frame, within_backward=False).source, here.phase)
            phase = here.phase or "backward"
        if thread.callback_of is not None:
            module, phase = thread.callback_of, "communication"
        newest = _next_node() - 1  # an operation runs just after its node was made, if one was
        if newest > thread.newest_node:
            thread.newest_node = newest
            thread.nodes.note(newest, module, here.source)
        return Origin(module, phase, here.source)

    def _of_node(self, node: torch.autograd.graph.Node) -> tuple[str, str]:
        leaf = getattr(node, "variable", None)
        if leaf is not None:  # the node that adds to a parameter's gradient
            return self._owners.get(id(leaf), ""), ""
        nodes = self._thread.nodes or self._first_nodes  # a thread of the engine has made none
        return nodes.place(node._sequence_nr())
