"""A run small enough for the reference backend: few images, a narrow network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from mulfree.data import Digits, Split, load_digits
from mulfree.models import VisionTransformer
from mulfree.train import Summary, TrainingConfig, digits, train_digits

Run = Callable[..., Summary]


def _first(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count], split.indices[:count])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run(**options)`` trains in ``tmp_path / "out"`` and returns the summary."""
    whole = load_digits()
    few = Digits(train=_first(whole.train, 24), test=_first(whole.test, 12))
    monkeypatch.setattr(digits, "load_digits", lambda: few)
    monkeypatch.setattr(
        digits,
        "model",
        lambda config: VisionTransformer(width=8, depth=1, heads=2, dropout=config.dropout, patch_size=4),
    )

    def start(**options: Any) -> Summary:
        settings = {"epochs": 2, "batch_size": 8, "output_dir": tmp_path / "out"} | options
        return train_digits(TrainingConfig(**settings), Progress(disable=True))

    return start
