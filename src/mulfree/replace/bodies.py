"""The bodies of torch's own Python functions, without the check that would hand the call to a mode first.

``torch.nn.functional.multi_head_attention_forward`` and its like are compositions. Run under the mode without that
check, the operations inside are replaced one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any


def _never(*_: object) -> bool:
    return False


_CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
_namespaces: dict[str, dict[str, Any]] = {}


def _without_checks(function: FunctionType) -> dict[str, Any]:
    """The globals of a function's module with the checks answering no: a copy, torch's own stay as they are."""
    module = function.__module__
    if module not in _namespaces:
        _namespaces[module] = {**function.__globals__, **dict.fromkeys(_CHECKS, _never)}
    return _namespaces[module]


@cache
def body_of(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The composition that a Python function of torch stands for; None for anything else."""
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or not function.__module__.startswith("torch."):
        return None
    body = FunctionType(
        function.__code__, _without_checks(function), function.__name__, function.__defaults__, function.__closure__
    )
    body.__kwdefaults__ = function.__kwdefaults__
    return body
