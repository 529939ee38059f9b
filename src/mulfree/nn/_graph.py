"""Modules of ``mulfree.nn`` in a graph of ``torch.compile``: each is one call, traced by what compiles the graph.

The tracer of ``torch.compile`` reads Python code and follows a function mode for some of torch's functions only. It is
told not to look inside a module; the next stage runs the module on tensors without data, the mode included, and records
the operations. What a module reads besides its tensors must therefore be known before: see ``_watch``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mulfree.ops.constants import host_only

_PLAIN = (bool, int, float, str, tuple, type(None))
_NOTHING = ()
"""Takes the place of None, which cannot be handed over."""

SUPPORTED = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 13)
"""Whether the tracer of this torch can do it; with an older one modules run uncompiled, between graphs."""

_calls: dict[Callable[..., Any], Callable[..., Any]] = {}


def in_graph(function: Callable[..., Any], module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
    """``function(module, args, kwargs)`` as one call of the graph; only to be called while it is traced."""
    _prepare(function)
    _watch(module)
    keywords = {name: _NOTHING if x is None else x for name, x in kwargs.items()}
    result = _calls[function](module, [_NOTHING if x is None else x for x in args], keywords)
    return tuple(_given_back(x) for x in result) if isinstance(result, tuple) else result


@host_only
def _prepare(function: Callable[..., Any]) -> None:
    """Run by the tracer itself, so the compiler is imported by now."""
    if function in _calls:
        return

    def call(module: torch.nn.Module, args: list[Any], kwargs: dict[str, Any]) -> Any:
        keywords = {name: _given_back(x) for name, x in kwargs.items()}
        result = function(module, [_given_back(x) for x in args], keywords)
        return tuple(_NOTHING if x is None else x for x in result) if isinstance(result, tuple) else result

    _calls[function] = torch._dynamo.nonstrict_trace(call)


def _given_back(x: Any) -> Any:
    return None if isinstance(x, tuple) and not x else x


def _watch(module: torch.nn.Module) -> None:
    """Read every setting, those of inner modules too: the tracer makes a new graph when one of them has changed."""
    for inner in module.modules():
        for value in inner.__dict__.values():
            if isinstance(value, _PLAIN):
                hash(value)
