"""Kinds of tasks by the names that recipes give them; imported when a recipe names them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from mulfree.train.errors import ConfigError
from mulfree.train.task import Task


class Kind(NamedTuple):
    """A class of settings, a pydantic dataclass, and what makes a task of them."""

    settings: type[Any]
    make: Callable[[Any], Task]


_KINDS = {
    "digits": ("mulfree.recipes.digits", "DigitsSettings", "DigitsTask"),
    "model": ("mulfree.recipes.model", "ModelSettings", "ModelTask"),
    "translation": ("mulfree.recipes.translation", "TranslationSettings", "TranslationTask"),
    "vision": ("mulfree.recipes.vision", "VisionSettings", "VisionTask"),
}
"""Module, settings and task."""


def kind(name: object) -> Kind:
    """The kind of task of that name.

    Raises:
        ConfigError: there is none.
    """
    if not isinstance(name, str) or name not in _KINDS:
        raise ConfigError(f"task.kind must be one of {', '.join(_KINDS)}, got {name!r}")
    module, settings, task = _KINDS[name]
    found = import_module(module)
    return Kind(getattr(found, settings), getattr(found, task))
