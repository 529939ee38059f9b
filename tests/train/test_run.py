"""Runs from the first step to the result: what they write, and that they repeat."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

import mulfree as mf
from mulfree.models import VisionTransformer
from mulfree.recipes import Comparison
from mulfree.train import AuditError, ConfigError, NonFiniteLossError, OutputError
from mulfree.train.checkpoints import Checkpoints, weights
from mulfree.train.loop import Trainer
from mulfree.train.records import read_metrics

Run = Callable[..., Comparison]


def _final(folder: Path) -> dict[str, torch.Tensor]:
    stored = Checkpoints(folder / "checkpoints")
    return weights(stored.path(stored.steps()[-1]))


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_writes_everything(run: Run, tmp_path: Path) -> None:
    comparison = run({"training.compare": "standard"})
    folder = tmp_path / "out" / "full-seed0"
    assert {path.name for path in folder.iterdir()} >= {
        "recipe.toml", "environment.json", "metrics.jsonl", "curves.png", "result.json", "audit-1.json", "checkpoints",
    }  # fmt: skip
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    records = read_metrics(folder / "metrics.jsonl")
    assert [r["step"] for r in records if r["kind"] == "train"] == list(range(1, 10))
    epochs = [r for r in records if r["kind"] == "epoch"]
    assert [(r["step"], r["epoch"]) for r in epochs] == [(3, 1.0), (6, 2.0), (9, 3.0)]
    assert all(r["training_loss"] > 0 and r["validation_loss"] > 0 and 0 <= r["accuracy"] <= 1 for r in epochs)
    result = json.loads((folder / "result.json").read_text())
    assert result["multiplications"] == 0
    assert result["scores"]["accuracy"] == comparison.score("full")[0]
    assert list(comparison.results) == ["standard", "full"]
    assert comparison.ratio("standard") == 1.0
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["versions"]["torch"] == metadata.version("torch")


def test_the_audited_step_has_work_and_no_multiplication(run: Run, tmp_path: Path) -> None:
    run({"training.audit_every": 4})
    folder = tmp_path / "out" / "full-seed0"
    for step in (1, 4, 8):
        report = json.loads((folder / f"audit-{step}.json").read_text())
        assert report["multiplications"] == 0
    audits = [r["step"] for r in read_metrics(folder / "metrics.jsonl") if r["kind"] == "audit"]
    assert audits == [1, 4, 8]


def test_a_signal_asks_for_an_audit(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Trainer._one

    def asking(self: Trainer, micro: Any, audit: Any) -> Any:
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        return original(self, micro, audit)

    monkeypatch.setattr(Trainer, "_one", asking)
    run({"training.audit_every": 0})
    records = read_metrics(tmp_path / "out" / "full-seed0" / "metrics.jsonl")
    assert [r["step"] for r in records if r["kind"] == "audit"] == [1, 4]


def test_numbers_go_to_tensorboard_where_it_is(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run({"arithmetic.policy": "standard"})
    assert list((tmp_path / "out" / "standard-seed0" / "tensorboard").glob("events.*"))


def test_strict_stops_at_a_multiplication(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = Trainer._backward

    def careless(self: Trainer, micro: Any, items: int) -> float:
        total = original(self, micro, items)
        for p in self.model.parameters():
            assert p.grad is not None
            p.grad.mul_(0.5)
        return total

    monkeypatch.setattr(Trainer, "_backward", careless)
    with pytest.raises(AuditError, match="aten::mul_"):
        run(strict=True)
    assert run(folder=tmp_path / "lenient").results["full"][0].multiplications


def test_weights_load_into_the_plain_model(run: Run, tmp_path: Path) -> None:
    run({"training.steps": 3, "training.compare": "standard"})
    for label in ("standard", "full"):
        model = VisionTransformer(width=8, depth=1, heads=2, patch_size=4)
        model.load_state_dict(_final(tmp_path / "out" / f"{label}-seed0"))
        mf.convert(model).load_state_dict(_final(tmp_path / "out" / f"{label}-seed0"))


def test_repeats_bit_for_bit(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run({"training.seed": 3}, folder=tmp_path / name)
    assert _same(*(_final(tmp_path / name / "full-seed3") for name in ("a", "b")))


def test_arithmetics_start_alike_and_see_the_same_batches(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[torch.Tensor]] = {}
    original = Trainer._one

    def watch(self: Trainer, micro: Any, audit: Any) -> Any:
        entry = seen.setdefault(self.arithmetic.label, [])
        if not entry:
            entry += [value.clone() for value in self.model.state_dict().values()]
        entry += [x for batch in micro for x in batch]
        return original(self, micro, audit)

    monkeypatch.setattr(Trainer, "_one", watch)
    run({"training.compare": "standard"})
    pairs = list(zip(seen["standard"], seen["full"], strict=True))
    assert len(pairs) > 18
    assert all(torch.equal(a, b) for a, b in pairs)


def test_several_seeds(run: Run, tmp_path: Path) -> None:
    comparison = run({"arithmetic.policy": "standard", "training.steps": 3, "training.seed": 4}, seeds=2)
    assert [result.seed for result in comparison.results["standard"]] == [4, 5]
    assert not _same(*(_final(tmp_path / "out" / f"standard-seed{seed}") for seed in (4, 5)))


def test_accumulated_batches_are_one_batch(run: Run, tmp_path: Path) -> None:
    """Without dropout, two batches of 4 give the gradient of one of 8, but for the order of the sum over the rows."""
    changes = {"task.dropout": 0.0, "training.steps": 3, "arithmetic.policy": "standard", "optimizer.kind": "sgd"}
    run({**changes, "task.batch_size": 8}, folder=tmp_path / "one")
    run({**changes, "task.batch_size": 4, "training.accumulate": 2}, folder=tmp_path / "two")
    one, two = (_final(tmp_path / name / "standard-seed0") for name in ("one", "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6


def test_readers_ahead_change_nothing(run: Run, tmp_path: Path) -> None:
    run({"training.workers": 1}, folder=tmp_path / "ahead")
    run(folder=tmp_path / "plain")
    assert _same(*(_final(tmp_path / name / "full-seed0") for name in ("ahead", "plain")))


@pytest.mark.parametrize("policy", ["standard", "full"])
def test_a_diverging_loss_keeps_the_last_checkpoint(policy: str, run: Run, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError, match=r"became (nan|inf) in step \d+ \(epoch \d\); try a lower"):
        run({"arithmetic.policy": policy, "optimizer.lr": 1e38, "optimizer.weight_decay": 0.0, "training.epochs": 9})
    assert not (tmp_path / "out" / f"{policy}-seed0" / "result.json").exists()


def test_an_unusable_folder_is_noticed_before_training(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "_one", lambda *_: pytest.fail("training has started"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to the output folder"):
        run(folder=tmp_path / "file" / "out")


def test_a_folder_with_a_run_is_not_written_to(run: Run) -> None:
    run({"training.steps": 3})
    with pytest.raises(OutputError, match="holds a run already; give --resume"):
        run({"training.steps": 3})


def test_settings_that_do_not_fit_leave_nothing_behind(run: Run, tmp_path: Path) -> None:
    for changes, message in (
        ({"task.batch_size": 25}, "task.batch_size must be at most 24"),
        ({"training.accumulate": 4}, "a step takes 4 batches, but an epoch has only 3"),
        ({"schedule.warmup_steps": 9}, "the warm-up must be shorter than the training of 9 steps"),
        ({"schedule.min_lr": 1.0}, "schedule.min_lr must be at most the highest rate"),
        ({"task.heads": 3}, "width must be a multiple of heads"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(changes)
    with pytest.raises(ConfigError, match="device 'abacus' cannot be used"):
        run(device="abacus")
    with pytest.raises(ConfigError, match="seeds must be at least 1"):
        run(seeds=0)
    assert list(tmp_path.iterdir()) == []
