"""Options that name a model in place of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mulfree.cli.settings import changes_of
from mulfree.recipes import Recipe, from_data
from mulfree.train import ConfigError


def recipe_of_model(
    model: str, input_shape: str | None, arguments: Sequence[str] | None, tokens: int | None, loss: str | None
) -> Recipe:
    """One step of a model on random inputs with AdamW; the values are those of the options of the same names.

    Raises:
        ConfigError: an option is missing or cannot be used; see also ``recipes.model``.
    """
    if input_shape is None:
        raise ConfigError("--model needs --input-shape, the shape of one input, such as 3,224,224")
    task = {"model": model, "input_shape": _shape(input_shape), "arguments": _arguments(arguments)}
    task |= changes_of({"tokens": tokens, "loss": loss}, None)
    data = {
        "description": "A model on random inputs",
        "source": "--model",
        "task": {"kind": "model", **task},
        "optimizer": {"kind": "adamw", "lr": 1e-3, "weight_decay": 0.01},
        "schedule": {"kind": "constant"},
        "training": {"steps": 1},
    }
    given = ", ".join(arguments or [])
    return from_data(f"{model}({given})" if given else model, data)


def _shape(text: str) -> list[int]:
    sizes = [part.strip() for part in text.split(",")]
    if not all(size.isdecimal() for size in sizes):
        raise ConfigError(f"--input-shape must be whole numbers between commas, such as 3,224,224, got {text!r}")
    return [int(size) for size in sizes]


def _arguments(pairs: Sequence[str] | None) -> dict[str, Any]:
    try:
        return changes_of({}, pairs)
    except ConfigError as error:
        raise ConfigError(f"--argument: {error}") from None
