"""``convert`` and ``revert``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from mulfree.convert import rotary
from mulfree.convert.classes import exclude, scope_of, set_scope, unset_scope
from mulfree.policy import Policy
from mulfree.replace import Scope

_Model = TypeVar("_Model", bound=torch.nn.Module)

Where = Callable[[str, torch.nn.Module], bool]


def convert(model: _Model, policy: Policy | None = None, where: Where | None = None) -> _Model:
    """Make ``model`` compute without multiplication, in place.

    While a converted module runs, every call of torch in it is looked at, whoever makes it: torch's modules,
    free functions, operators, methods, in-place forms. Multiplying calls are replaced by their piecewise affine
    forms, and so are their gradients. Every module keeps its identity, parameters, their names, hooks and flags;
    its class becomes a subclass of the same name. State dicts fit before and after; ``revert`` undoes it.

    Args:
        model: any module.
        policy: which groups of operations to replace and how; ``Policy.full()`` by default. Modules of
            ``mulfree.nn`` keep the options that they were built with.
        where: ``where(name, module)`` is asked for every module, named as in ``named_modules``; what a module for
            which it is False computes itself stays as it is. Its children are asked for themselves.

    Returns:
        ``model``. When it runs, a call that is neither free of multiplications nor has a piecewise affine form
        raises ``NotImplementedError`` with its name and line.

    Raises:
        TypeError: ``model`` is no module, ``policy`` no policy, or a module is scripted.
        NotImplementedError: a rotary embedding's frequencies depend on the sequence. Nothing has been changed then.

    Deviations: methods that the caller runs on the model other than ``forward`` are converted only as far as they
    call modules. Arithmetic on Python numbers and in NumPy is not seen.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"convert(): argument 'model' must be a torch.nn.Module, got {type(model)}")
    chosen = Policy.full() if policy is None else policy
    if not isinstance(chosen, Policy):
        raise TypeError(f"convert(): argument 'policy' must be a mulfree.Policy, got {type(policy)}")
    if not (where is None or callable(where)):
        raise TypeError(f"convert(): argument 'where' must be a function of name and module, got {type(where)}")
    modules = [(name, module, where is None or bool(where(name, module))) for name, module in model.named_modules()]
    for name, module, wanted in modules:
        if wanted:
            _check(name, module)
    place = _place(model)
    for name, module, wanted in modules:
        set_scope(module, Scope(chosen if wanted else None, _path(place, name)))
    return model


def _place(model: torch.nn.Module) -> str:
    """The path of a module within the converted model that it is a part of, "" for a whole one."""
    scope = scope_of(model)
    return "" if scope is None else scope.module


def _path(place: str, name: str) -> str:
    return f"{place}.{name}" if place and name else place or name


def _check(name: str, module: torch.nn.Module) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise TypeError(f"convert(): {name or 'the model'} is scripted (torch.jit); convert the original module")
    if rotary.is_rotary(module):
        rotary.check(name, module)


def revert(model: _Model) -> _Model:
    """Undo ``convert``: ``model`` and its modules compute as before, with the parameters that they have now.

    Of a whole model nothing is left behind; modules that were not converted stay as they are. A part of a model that
    was converted as a whole computes in standard arithmetic from now on, in the model too: its modules remain marked as
    left out until the whole is reverted. What is converted then is the rest of the model.

    Raises:
        TypeError: ``model`` is no module.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"revert(): argument 'model' must be a torch.nn.Module, got {type(model)}")
    place = _place(model)
    for name, module in list(model.named_modules()):
        if scope_of(module) is None:
            continue
        if place:
            exclude(module, _path(place, name))
        else:
            unset_scope(module)
    return model
