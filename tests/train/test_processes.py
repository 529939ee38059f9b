"""Two processes of ``torchrun`` train as one process with twice the batches a step, bit for bit."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from torch import distributed as dist

from mulfree.train.records import read_json
from tests.tiny_recipe import TINY
from tests.train.test_resume import assert_same_training

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this PyTorch is built without gloo"
)
SECONDS = 150


def _free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return int(any_port.getsockname()[1])


def _train(recipe: Path, folder: Path, processes: int, *options: str) -> None:
    module = ["-m", "mulfree", "train", str(recipe), "--threads", "1", "--output-dir", str(folder), *options]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", str(_free_port())]
    command = [sys.executable, *(launcher if processes > 1 else []), *module]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("policy", ["full", "standard"])
def test_two_processes_are_one(policy: str, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    options = ["--policy", policy, "--epochs", "5", "--set", "optimizer.clip_norm=0.5"]
    _train(recipe, tmp_path / "one", 1, *options, "--accumulate", "2")
    _train(recipe, tmp_path / "two", 2, *options)
    one, two = (tmp_path / name / f"{policy}-seed0" for name in ("one", "two"))
    assert_same_training(one, two)
    assert read_json(one / "result.json")["scores"] == read_json(two / "result.json")["scores"]
    if policy == "full":
        assert read_json(two / "audit-1.json")["multiplications"] == 0
