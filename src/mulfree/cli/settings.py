"""Options that change settings of a recipe."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from mulfree.numerics.formats import MANTISSA_BITS
from mulfree.recipes import Recipe, changed
from mulfree.train import Arithmetic, ConfigError


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


def check_effect(arithmetic: Arithmetic) -> None:
    """No setting is without effect, so that no run has a name that promises more than it does.

    Raises:
        ConfigError: a setting of a group of operations that is not replaced, or passes that are not narrow.
    """
    of_products = {
        "mantissa_bits": arithmetic.mantissa_bits < MANTISSA_BITS,
        "compensation": arithmetic.compensation is not None,
    }
    for setting, given in of_products.items():
        if given and "matmul" not in arithmetic.replaced:
            raise ConfigError(
                f"arithmetic.{setting} is of matrix products, which are not replaced: {_parts(arithmetic)}"
            )
    for field in fields(arithmetic.derivative):
        if getattr(arithmetic.derivative, field.name) is not None and field.name not in arithmetic.replaced:
            raise ConfigError(
                f"arithmetic.derivative.{field.name} is of operations that are not replaced: {_parts(arithmetic)}"
            )
    if arithmetic.narrow != "both" and arithmetic.mantissa_bits == MANTISSA_BITS:
        raise ConfigError(
            f'arithmetic.narrow = "{arithmetic.narrow}" needs fewer arithmetic.mantissa_bits than {MANTISSA_BITS}'
        )


def _parts(arithmetic: Arithmetic) -> str:
    parts = f"policy {arithmetic.policy}" if arithmetic.parts is None else "parts"
    return f"{parts} replaces {', '.join(arithmetic.replaced) or 'nothing'}"


def fitting(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """With fewer epochs than the recipe's warm-up takes, a warm-up that leaves one."""
    epochs, warmup = recipe.training.epochs, recipe.schedule.warmup_epochs
    if "training.epochs" in changes and 0 < epochs <= warmup:
        return changed(recipe, {"schedule.warmup_epochs": epochs - 1})
    return recipe
