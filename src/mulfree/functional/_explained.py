"""Errors that name the function that was called, and its argument of the wrong type, read from the annotations.

A call that succeeds is not looked at. Where one raised, whatever it was, its arguments are compared with the
annotations of the function; if one cannot be meant, a ``TypeError`` that names function and argument takes its place.
Any other error gets the function's name before its message, if it has that of an inner function or none.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

import torch
from torch import Tensor

_Function = TypeVar("_Function", bound=Callable[..., Any])

_NAMED = (TypeError, ValueError, RuntimeError, IndexError, NotImplementedError)
_known: set[str] = set()
"""Names of the functions that are explained."""
_EXPECTED = {Tensor: "a tensor", float: "a number", int: "a whole number", type(None): "None"}


def explained(function: _Function, name: str | None = None, module: str | None = None) -> _Function:
    """``function`` with such errors, under ``name`` in ``module`` if they are given."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            argument, wrong = _wrong(function, call.__name__, args, kwargs)
            if wrong is not None and not _is_named(error, call.__name__, argument):
                raise TypeError(wrong) from error
            _name(error, call.__name__)
            raise

    if name is not None:
        call.__name__ = call.__qualname__ = name
    if module is not None:
        call.__module__ = module
    _known.add(call.__name__)
    return call  # type: ignore[return-value]


def _name(error: Exception, name: str) -> None:
    """Put ``name`` before the message, in place of an inner function that nobody can call."""
    if type(error) not in _NAMED or len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    text: str = error.args[0]
    inner, _, rest = text.partition("()")
    if inner in _known:
        error.args = (text if inner == name else f"{name}(): in {text}",)
    else:
        error.args = (f"{name}(){rest}" if inner.isidentifier() and rest else f"{name}(): {text}",)


def _is_named(error: Exception, name: str, argument: str) -> bool:
    """Whether the message says already which argument is wrong."""
    text = str(error)
    return text.startswith(f"{argument} must") or (text.startswith(f"{name}()") and f"'{argument}'" in text)


def _wrong(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, str | None]:
    """The argument that cannot be meant and what is wrong with it; None if all are what the function takes."""
    signature, hints = inspect.signature(function), get_type_hints(function)
    options = {
        key for hint in hints.values() for of in get_args(hint) if is_typeddict(of) for key in get_type_hints(of)
    }
    unknown = [key for key in kwargs if options and key not in signature.parameters and key not in options]
    if unknown:
        return unknown[0], f"{name}() got an unexpected keyword argument {unknown[0]!r}"
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        return "", f"{name}(): {error}"
    for argument, value in given.items():
        kind, hint = signature.parameters[argument].kind, hints.get(argument, Any)
        if argument == "self" or kind is inspect.Parameter.VAR_KEYWORD:
            continue
        for single in value if kind is inspect.Parameter.VAR_POSITIONAL else (value,):
            if isinstance(single, Tensor) and single.layout is not torch.strided:
                return argument, f"{name}(): argument '{argument}' must be a strided tensor, got layout {single.layout}"
            if not _fits(single, hint):
                return argument, f"{name}(): argument '{argument}' must be {_described(hint)}, got {_shown(single)}"
    return "", None


def _fits(value: Any, hint: Any) -> bool:
    """False if ``value`` cannot be meant where ``hint`` stands."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if hint in (float, int):
        return hasattr(value, "__float__" if hint is float else "__index__")
    if origin in (tuple, list, Sequence) or (origin is Iterable and isinstance(value, Sequence)):
        return _all_fit(value, get_args(hint))
    kind = Iterable if origin is Iterable else hint
    is_checked = isinstance(kind, type) and origin in (None, Iterable) and kind not in (bool, object, Any)
    return not is_checked or isinstance(value, kind)


def _all_fit(value: Any, of: tuple[Any, ...]) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    if len(of) == 2 and of[1] is not Ellipsis:
        return len(value) != 2 or (_fits(value[0], of[0]) and _fits(value[1], of[1]))
    return all(_fits(entry, of[0]) for entry in value)


def _described(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_described, get_args(hint))))
    if get_origin(hint) in (tuple, list, Sequence, Iterable):
        of = [choice for choice in get_args(hint) if choice is not Ellipsis]
        return f"a sequence of {' and '.join(dict.fromkeys(f'{_described(choice)}s'[2:] for choice in of))}"
    return _EXPECTED[hint] if hint in _EXPECTED else str(getattr(hint, "__name__", hint))


def _shown(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        return " of ".join(
            [kind, *[" and ".join(dict.fromkeys(type(entry).__name__ for entry in value))] * bool(value)]
        )
    return f"{kind} {value!r}" if isinstance(value, str | int | float | complex) else kind
