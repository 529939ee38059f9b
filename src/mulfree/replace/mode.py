"""The mechanism: a torch function mode that replaces every multiplying call made while it is active.

Within ``run(scope, ...)`` every torch function, method and operator, whoever calls it, passes through
``__torch_function__``; ``actions.action_for`` knows what takes its place under the scope's policy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mulfree.policy import Policy
from mulfree.replace.actions import Action, action_for
from mulfree.replace.lost import LOST, with_lost


class Scope:
    """What holds within one module.

    Attributes:
        policy: which operations are replaced and how; None leaves all as they are.
        module: path of the module in the converted model, for messages.
    """

    __slots__ = ("_actions", "module", "policy")

    def __init__(self, policy: Policy | None, module: str = "") -> None:
        self.policy = policy
        self.module = module
        self._actions = None if policy is None or policy.is_standard else _actions(policy)

    def __reduce__(self) -> Any:
        return Scope, (self.policy, self.module)


@cache
def _actions(policy: Policy) -> dict[Callable[..., Any], Action | None]:
    """What has been decided so far for the torch functions called under a policy."""
    return {}


class Replacing(TorchFunctionMode):
    """Active while a converted module runs; ``scope`` is that of the innermost one."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        scope = self.scope
        actions = scope._actions
        keywords = {} if kwargs is None else kwargs
        if func in LOST:
            keywords = with_lost(func, keywords)
        if actions is None:
            return func(*args, **keywords)
        if func in actions:
            action = actions[func]
        else:
            assert scope.policy is not None
            action = actions[func] = action_for(func, scope.policy)
        return func(*args, **keywords) if action is None else action(self, args, keywords)


class _Current(threading.local):
    mode: Replacing | None = None


_current = _Current()
_stack_size = torch._C._len_torch_function_stack
_stack_at = torch._C._get_function_stack_at


def _active() -> Replacing | None:
    """This thread's mode, if it is in place: torch takes it away while one of its calls is served."""
    mode: Replacing | None = _current.mode
    if mode is not None:
        for i in range(_stack_size()):
            if bool(_stack_at(i) is mode):
                return mode
    return None


def run(scope: Scope, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)`` with the operations in it replaced as ``scope`` says."""
    mode = _active()
    if mode is not None:
        outer = mode.scope
        if outer is scope:
            return function(*args, **kwargs)
        mode.scope = scope
        try:
            return function(*args, **kwargs)
        finally:
            mode.scope = outer
    if scope._actions is None:
        return function(*args, **kwargs)
    before, mode = _current.mode, Replacing(scope)
    _current.mode = mode
    try:
        with mode:
            return function(*args, **kwargs)
    finally:
        _current.mode = before


def uncompiled(function: Callable[..., Any]) -> None:
    """Mark a function: ``torch.compile`` shall call it and look inside neither it nor what it calls.

    The first mark is for calls that are traced, the second for those that run. ``torch.compiler.disable`` would import
    the compiler.
    """
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    frames = torch._C._dynamo.eval_frame
    skip = frames._FrameExecStrategy(frames._FrameAction.SKIP, frames._FrameAction.SKIP)
    frames.set_code_exec_strategy(function.__code__, skip)


uncompiled(run)  # the tracer follows the mode for some of torch's functions only
