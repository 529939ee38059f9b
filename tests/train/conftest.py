"""Trainings of the tiny recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mulfree.recipes import Comparison, Options, changed, parse, train_recipe
from mulfree.train.loop import Step
from tests.tiny_recipe import TINY

Run = Callable[..., Comparison]


class Silent:
    """A screen that remembers warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def begin(self, label: str, seed: int, done: int, total: int) -> Callable[[Step, str], None]:
        return lambda step, status: None

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def silent() -> Silent:
    return Silent()


@pytest.fixture
def run(tmp_path: Path, silent: Silent) -> Run:
    """``run(changes, **options)`` trains in ``tmp_path / "out"``."""

    def start(changes: dict[str, Any] | None = None, **options: Any) -> Comparison:
        recipe = changed(parse("tiny", TINY), changes or {})
        return train_recipe(recipe, Options(**{"folder": tmp_path / "out", **options}), silent)

    return start
