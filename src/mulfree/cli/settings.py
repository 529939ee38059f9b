"""Options that change settings of a recipe."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from mulfree.recipes import Recipe, changed
from mulfree.train import ConfigError


def changes_of(options: Mapping[str, Any], pairs: Sequence[str] | None) -> dict[str, Any]:
    """Changes by place: the options that are given, and those of ``--set SECTION.FIELD=VALUE``.

    Raises:
        ConfigError: an entry of ``pairs`` has no "=".
    """
    given = {place: value for place, value in options.items() if value is not None}
    return given | {key: _value(value) for key, value in map(pair, pairs or [])}


def pair(text: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE. Raises ConfigError if there is no "="."""
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _value(text: str) -> Any:
    """What TOML would read; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def fitting(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """With fewer epochs than the recipe's warm-up takes, a warm-up that leaves one."""
    epochs, warmup = recipe.training.epochs, recipe.schedule.warmup_epochs
    if "training.epochs" in changes and 0 < epochs <= warmup:
        return changed(recipe, {"schedule.warmup_epochs": epochs - 1})
    return recipe
