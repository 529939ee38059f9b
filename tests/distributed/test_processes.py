"""Gradients averaged over processes by PAD: in each of them the same bits as in one process, and no multiplication."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import distributed as dist

import mulfree.distributed

WORKER = Path(__file__).with_name("worker.py")
SECONDS = 150

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this PyTorch is built without gloo"
)


@cache
def run(case: str, size: int) -> list[dict[str, Any]]:
    """The results of all processes of a case."""
    with TemporaryDirectory() as folder:
        meeting, results = Path(folder) / "meeting", [Path(folder) / f"result{rank}" for rank in range(size)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        processes = [
            subprocess.Popen(
                [sys.executable, str(WORKER), case, str(rank), str(size), str(meeting), str(results[rank])],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(size)
        ]
        try:
            errors = [process.communicate(timeout=SECONDS)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert all(process.returncode == 0 for process in processes), "\n".join(errors)
        return [torch.load(result) for result in results]


@pytest.mark.parametrize("case", ["replicated", "sharded"])
def test_every_process_has_the_bits_of_one(case: str) -> None:
    for result in run(case, 2):
        assert result["gradients"]
        assert result["parameters"]


@pytest.mark.parametrize(("case", "size"), [("replicated", 2), ("replicated", 3), ("sharded", 2)])
def test_every_process_has_the_same_weights(case: str, size: int) -> None:
    """With three processes the order of a sum is that of the communication, the same for all."""
    first, *others = (result["weights"] for result in run(case, size))
    for weights in others:
        assert all(torch.equal(mine, other) for mine, other in zip(weights, first, strict=True))


@pytest.mark.parametrize("case", ["replicated", "sharded"])
def test_no_process_multiplies(case: str) -> None:
    for result in run(case, 2):
        assert result["multiplying"] == []
        assert result["unknown"] == []
        assert "communication" in result["phases"]


def test_without_the_hook_torch_multiplies() -> None:
    for result in run("replicated without hook", 2):
        assert result["multiplying"]


def test_sharded_gradients_are_not_clipped() -> None:
    for result in run("sharded", 2):
        assert "sharded" in result["clipping"]


def test_errors() -> None:
    with pytest.raises(TypeError, match="fully_shard"):
        mulfree.distributed.average_fully_sharded(torch.nn.Linear(2, 2))  # type: ignore[arg-type]
