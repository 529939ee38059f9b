"""Settings are checked at the border."""

from __future__ import annotations

from typing import Any

import pytest

from mulfree.train import ConfigError, TrainingConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("seeds", 0),
        ("seed", -1),
        ("threads", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("dropout", 1.0),
        ("warmup_epochs", -1),
        ("policy", "none"),
        ("device", "abacus"),
        ("device", "cuda:99"),
    ],
)
def test_bad_value(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        TrainingConfig(**{name: value})


def test_defaults_are_fine() -> None:
    assert TrainingConfig().policy == "full"
