"""Checkpoints: atomic, checked, rotated."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from mulfree.train import OutputError
from mulfree.train import checkpoints as module
from mulfree.train.checkpoints import Checkpoint, Checkpoints, DamagedError
from mulfree.train.seeds import random_seed


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        step, {"weight": torch.full((3,), float(step))}, {"0.exp_avg": torch.zeros(3)}, {"progress": {"a": 1}}
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    stored = Checkpoints(tmp_path / "new")
    stored.write(_checkpoint(7), best=None)
    found = stored.read(7)
    assert found.step == 7
    assert torch.equal(found.model["weight"], torch.full((3,), 7.0))
    assert found.state == {"progress": {"a": 1}}


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    stored = Checkpoints(tmp_path, keep=2)
    for step in range(1, 7):
        stored.write(_checkpoint(step), best=2)
    assert stored.steps() == [2, 5, 6]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_damage_is_noticed(name: str, damage: str, tmp_path: Path) -> None:
    stored = Checkpoints(tmp_path)
    stored.write(_checkpoint(1), best=None)
    file = stored.path(1) / name
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes({"cut": bytes(content[:-1]), "flip": bytes(content), "empty": b""}[damage])
    with pytest.raises(DamagedError, match=name):
        stored.read(1)


def test_a_full_disk_leaves_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Checkpoints(tmp_path)
    stored.write(_checkpoint(1), best=None)
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OutputError, match="no space left on the disk; earlier checkpoints are intact"):
        stored.write(_checkpoint(2), best=None)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    stored.read(1)


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-1").mkdir()
    (tmp_path / ".unfinished-1" / "model.safetensors").write_bytes(b"half")
    stored = Checkpoints(tmp_path)
    assert stored.steps() == []
    stored.write(_checkpoint(1), best=None)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_newest_without_any(tmp_path: Path) -> None:
    def warn(message: str) -> Any:
        pytest.fail(message)

    assert Checkpoints(tmp_path / "missing").newest(warn) is None


def test_seeds_of_places_differ() -> None:
    places = [(seed, step, place) for seed in range(5) for step in range(50) for place in range(4)]
    assert len({random_seed(*place) for place in places}) == len(places)
    assert random_seed(1, 23) != random_seed(12, 3)
