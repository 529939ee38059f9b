"""The class of a converted module: that of the original with ``__call__`` and ``forward`` run under the mode.

A module keeps its identity, parameters, hooks and attributes; only its class changes, to one made for the
original class. It has the original's name, so configurations written by class name stay right, and it is pickled
as "original class, converted", so deep copies, ``torch.save`` and replication work.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from mulfree.convert import rotary
from mulfree.replace import Scope, run

_SCOPE = "_mulfree_scope"
"""Attribute of a converted module that holds its ``Scope``."""


class Reverted(Scope):
    """The scope of a module that was reverted within a converted model: nothing is replaced."""

    __slots__ = ()

    def __init__(self, module: str) -> None:
        super().__init__(None, module)

    def __reduce__(self) -> Any:
        return Reverted, (self.module,)


class Converted:
    """Mixed into the class of a converted module."""

    _mulfree_original: type[torch.nn.Module]
    _mulfree_rotary: bool

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced: Any = super().__reduce_ex__(protocol)
        _, (_, *arguments), *state = reduced
        return (_rebuilt, (self._mulfree_original, self._mulfree_rotary, *arguments), *state)


def _rebuilt(original: Any, is_rotary: bool, *arguments: Any) -> torch.nn.Module:
    kind: Any = _converted_class(original, is_rotary)
    module: torch.nn.Module = kind.__new__(kind, *arguments)
    return module


@functools.cache
def _converted_class(original: Any, is_rotary: bool) -> type[torch.nn.Module]:
    @functools.wraps(original.__call__)
    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return run(self.__dict__[_SCOPE], original.__call__, self, *args, **kwargs)

    @functools.wraps(original.forward)
    def forward(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        scope: Scope = self.__dict__[_SCOPE]
        if is_rotary and scope.policy is not None:
            return run(Scope(None), rotary.looked_up, self, original.forward, *args, **kwargs)
        return run(scope, original.forward, self, *args, **kwargs)

    members = {
        "__call__": call,
        "forward": forward,
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
        "_mulfree_original": original,
        "_mulfree_rotary": is_rotary,
    }
    return type(original.__name__, (Converted, original), members)


def scope_of(module: torch.nn.Module) -> Scope | None:
    """The scope of a converted module; None for others."""
    return module.__dict__[_SCOPE] if isinstance(module, Converted) else None


def original_class(module: torch.nn.Module) -> type[torch.nn.Module]:
    return module._mulfree_original if isinstance(module, Converted) else type(module)


def set_scope(module: torch.nn.Module, scope: Scope) -> None:
    """Convert one module, or change the scope of a converted one."""
    if not isinstance(module, Converted):
        original: Any = type(module)
        module.__class__ = _converted_class(original, rotary.is_rotary(module))
    module.__dict__[_SCOPE] = scope


def unset_scope(module: torch.nn.Module) -> None:
    """Give a converted module its original class back."""
    if isinstance(module, Converted):
        original: Any = module._mulfree_original
        module.__class__ = original
        del module.__dict__[_SCOPE]
        rotary.forget(module)


def exclude(module: torch.nn.Module, path: str) -> None:
    """Let a module within a converted model compute as its original class."""
    set_scope(module, Reverted(path))
    rotary.forget(module)
