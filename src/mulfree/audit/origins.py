"""Where a call came from: module path, phase and source line, in the forward and in the backward pass.

PyTorch numbers the nodes of the autograd graph in the order in which the forward pass makes them. Noting that
number whenever a module is entered or left and whenever an operation runs tells, in the backward pass, which
module and line made the node that is being differentiated.
"""

from __future__ import annotations

import sys
import sysconfig
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from mulfree.audit.report import Phase

_TORCH = str(Path(torch.__file__).parent)
_PACKAGE = Path(__file__).parent.parent
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
_LIBRARY_FLOORS = tuple(
    str(_PACKAGE / part)
    for part in ("catalog", "numerics", "backends", "ops", "functional", "nn", "optim", "policy", "convert", "audit")
)
_ENGINE = str(Path("autograd", "graph.py"))


@dataclass(frozen=True)
class Origin:
    module: str
    phase: Phase
    source: str


def _is_library(filename: str) -> bool:
    if filename.startswith(_STANDARD_LIBRARY) and "site-packages" not in filename:
        return True
    return filename.startswith(("<frozen", _TORCH, *_LIBRARY_FLOORS))


def _user_line(frame: FrameType | None, within_backward: bool) -> str:
    """``file:line`` of the innermost frame of the user's code; in a backward pass only inside the engine's call."""
    while frame is not None:
        filename = frame.f_code.co_filename
        if within_backward and filename.startswith(_TORCH) and filename.endswith(_ENGINE):
            return ""
        if not _is_library(filename):
            return f"{_shorten(filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _shorten(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def _next_node() -> int:
    """Number that the next node of this thread will get."""
    number: int = torch._C._autograd._get_sequence_nr()
    return number


class Origins:
    """Follows modules and optimizers while its hooks are in place."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []
        self._running: list[str] = []
        self._in_optimizer = False
        self._names: dict[int, str] = {}
        self._newest_node = -1
        self._node_numbers: list[int] = []
        self._node_origins: list[tuple[str, str]] = []

    def start(self) -> None:
        self._newest_node = _next_node() - 1
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

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        if not self._running:
            self._names = {id(part): name for name, part in module.named_modules()}
        self._running.append(self._names.get(id(module)) or type(module).__name__)
        self._note(_next_node(), self._running[-1])

    def _leave(self, _module: nn.Module, _inputs: Any, _result: Any) -> None:
        if self._running:
            self._running.pop()
            self._note(_next_node(), self._running[-1] if self._running else "")

    def _enter_optimizer(self, optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._in_optimizer = True
        self._running.append(type(optimizer).__name__)

    def _leave_optimizer(self, _optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._in_optimizer = False
        if self._running:
            self._running.pop()

    def _note(self, node: int, module: str, source: str = "") -> None:
        """The nodes from number ``node`` on, up to the next note, come from here."""
        self._node_numbers.append(node)
        self._node_origins.append((module, source))

    def of_call(self) -> Origin:
        """Origin of the operation that runs now; called by the dispatch mode."""
        frame = sys._getframe(1)
        node: torch.autograd.graph.Node | None = torch._C._current_autograd_node()
        if node is None:
            source = _user_line(frame, within_backward=False)
            module = self._running[-1] if self._running else ""
            if self._in_optimizer:
                return Origin(module, "optimizer", source)
            newest = _next_node() - 1  # an operation runs just after its node was made, if one was
            if newest > self._newest_node:
                self._newest_node = newest
                self._note(newest, module, source)
            return Origin(module, "forward", source)
        module, forward_source = self._of_node(node)
        if self._running:
            module = self._running[-1]
        source = _user_line(frame, within_backward=True) or forward_source or _user_line(frame, within_backward=False)
        return Origin(module, "backward", source)

    def _of_node(self, node: torch.autograd.graph.Node) -> tuple[str, str]:
        position = bisect_right(self._node_numbers, node._sequence_nr())
        return self._node_origins[position - 1] if 0 < position <= len(self._node_numbers) else ("", "")
