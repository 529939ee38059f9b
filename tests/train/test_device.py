"""Training on a CUDA device: the run of the processor, bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cuda.device import needs_device
from tests.train.conftest import Run
from tests.train.test_resume import assert_same_training

pytestmark = [pytest.mark.cuda, needs_device]


def test_weights_and_records_are_those_of_the_processor(run: Run, tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        run({"training.epochs": 2}, device=device, folder=tmp_path / device)
    assert_same_training(tmp_path / "cpu" / "full-seed0", tmp_path / "cuda" / "full-seed0")
