"""Runs that are cut off go on as if they had not been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mulfree.recipes import Comparison
from mulfree.train import ConfigError, Interrupted
from mulfree.train.checkpoints import Checkpoints, DamagedError
from mulfree.train.loop import Trainer
from mulfree.train.records import read_metrics
from tests.tiny_recipe import TINY

Run = Callable[..., Comparison]
TIMES = ("milliseconds", "seconds")


def _records(folder: Path) -> list[dict[str, Any]]:
    found = read_metrics(folder / "metrics.jsonl")
    return [{k: v for k, v in record.items() if k not in TIMES} for record in found if record["kind"] != "audit"]


def assert_same_training(a: Path, b: Path) -> None:
    """Weights, optimizer, schedule and records."""
    first, second = (Checkpoints(folder / "checkpoints") for folder in (a, b))
    assert first.steps()[-1] == second.steps()[-1]
    one, two = (stored.read(stored.steps()[-1]) for stored in (first, second))
    for left, right in ((one.model, two.model), (one.optimizer, two.optimizer)):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert one.state["schedule"] == two.state["schedule"]
    assert _records(a) == _records(b)


def _stop_after(step: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGTERM) -> None:
    original = Trainer._one

    def stopping(self: Trainer, micro: Any, audit: Any) -> Any:
        done = original(self, micro, audit)
        if self.step == step:
            os.kill(os.getpid(), number)
        return done

    monkeypatch.setattr(Trainer, "_one", stopping)


@pytest.mark.parametrize(("policy", "number"), [("full", signal.SIGTERM), ("standard", signal.SIGINT)])
def test_a_signal_leaves_a_checkpoint_to_go_on_from(
    policy: str, number: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"arithmetic.policy": policy, "optimizer.clip_norm": 0.5}
    run(changes, folder=tmp_path / "whole")
    with monkeypatch.context() as patch:
        _stop_after(4, patch, number)
        with pytest.raises(Interrupted, match="stopped after step 4 of 9") as stopped:
            run(changes)
    assert stopped.value.code == 128 + number
    run(changes, resume=True)
    assert_same_training(tmp_path / "whole" / f"{policy}-seed0", tmp_path / "out" / f"{policy}-seed0")


def test_a_complete_run_is_not_trained_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    monkeypatch.setattr(Trainer, "_one", lambda *_: pytest.fail("trained again"))
    assert run(resume=True).results == first.results


def test_killed_at_random_moments(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY)
    command = [
        sys.executable, "-m", "mulfree", "train", str(recipe), "--epochs", "12", "--threads", "1", "--set",
        "training.checkpoint_every=2", "--set", "arithmetic.derivative.softmax=exact",
    ]  # fmt: skip
    generator = random.Random(os.urandom(8))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run([*command, "--output-dir", str(whole)], check=True, capture_output=True, timeout=120)
    metrics = next(whole.iterdir()).name
    file = broken / metrics / "metrics.jsonl"
    killed = 0
    for limit in sorted(generator.sample(range(2, 40), 3)):
        options = ["--output-dir", str(broken), *(["--resume"] if broken.exists() else [])]
        process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if file.exists() and len(file.read_text().splitlines()) > limit:
                time.sleep(generator.random() * 0.02)
                process.kill()
                killed += 1
                break
            time.sleep(0.001)
        process.wait()
    assert killed > 0
    subprocess.run([*command, "--output-dir", str(broken), "--resume"], check=True, capture_output=True, timeout=120)
    assert_same_training(whole / metrics, broken / metrics)


def test_other_settings_are_refused_by_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _stop_after(4, patch)
        with pytest.raises(Interrupted):
            run()
    with pytest.raises(ConfigError, match=r"optimizer.lr: 0.002 -> 0.003"):
        run({"optimizer.lr": 3e-3}, resume=True)
    run({"training.audit_every": 7, "training.workers": 1, "training.log_every": 2}, resume=True)


def test_a_damaged_checkpoint_is_named_and_an_older_one_used(
    run: Run, silent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run({"training.checkpoint_every": 2}, folder=tmp_path / "whole")
    with monkeypatch.context() as patch:
        _stop_after(6, patch)
        with pytest.raises(Interrupted):
            run({"training.checkpoint_every": 2})
    stored = Checkpoints(tmp_path / "out" / "full-seed0" / "checkpoints")
    assert stored.steps() == [3, 4, 6] or stored.steps() == [4, 6]
    file = stored.path(6) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-20])
    run({"training.checkpoint_every": 2}, resume=True)
    assert any(str(file) in warning and "going back" in warning for warning in silent.warnings)
    assert_same_training(tmp_path / "whole" / "full-seed0", tmp_path / "out" / "full-seed0")


def test_only_damaged_checkpoints_end_the_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _stop_after(4, patch)
        with pytest.raises(Interrupted):
            run()
    stored = Checkpoints(tmp_path / "out" / "full-seed0" / "checkpoints")
    for step in stored.steps():
        (stored.path(step) / "state.json").unlink()
    with pytest.raises(DamagedError, match=r"no checkpoint in .* is intact"):
        run(resume=True)
