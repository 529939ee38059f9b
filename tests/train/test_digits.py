"""The digits demonstration end to end, on a small run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import mulfree as mf
from mulfree.models import VisionTransformer
from mulfree.train import ConfigError, NonFiniteLossError, OutputError, Summary, loop

Run = Callable[..., Summary]
PLAIN = {"width": 8, "depth": 1, "heads": 2, "patch_size": 4}


def _weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(folder / f"{name}.pt", weights_only=True)
    return weights


def test_writes_everything(run: Run, tmp_path: Path) -> None:
    summary = run()
    names = {"curves.png", "metrics.jsonl", "mulfree-seed0.pt", "standard-seed0.pt", "summary.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert {path.name for path in summary.files} == names
    assert all(path.stat().st_size > 0 for path in summary.files)
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")

    records = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [(r["network"], r["epoch"], r["step"]) for r in records] == [
        ("standard", 1, 3), ("standard", 2, 6), ("mulfree", 1, 3), ("mulfree", 2, 6)
    ]  # fmt: skip
    assert all(r["loss"] > 0 and 0 <= r["accuracy"] <= 1 and r["milliseconds"] > 0 for r in records)

    data = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert data["audit"]["multiplications"] == 0
    assert data["networks"]["mulfree"]["accuracies"] == summary.results["mulfree"].accuracies
    assert data["time_ratio"] == summary.ratio


def test_audited_step_is_free_of_multiplications(run: Run) -> None:
    summary = run(epochs=1, warmup_epochs=0)
    assert summary.audit is not None
    assert summary.audit.findings == (), str(summary.audit)
    assert summary.audit.pa_operations > 30


def test_matmul_policy_still_multiplies(run: Run) -> None:
    summary = run(epochs=1, warmup_epochs=0, policy="matmul")
    assert summary.audit is not None
    found = {finding.op.partition(".")[0] for finding in summary.audit.findings}
    assert "aten::native_layer_norm" in found
    assert not found & {"aten::mm", "aten::addmm", "aten::bmm", "aten::_softmax"}


def test_checkpoints_load_into_the_plain_model(run: Run, tmp_path: Path) -> None:
    run(epochs=1, warmup_epochs=0)
    for name in ("standard-seed0", "mulfree-seed0"):
        model = VisionTransformer(**PLAIN)  # type: ignore[arg-type]
        model.load_state_dict(_weights(tmp_path / "out", name))
        mf.convert(model).load_state_dict(_weights(tmp_path / "out", name))


def test_repeats_bit_for_bit(run: Run, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        run(epochs=1, warmup_epochs=0, seed=3, output_dir=tmp_path / folder)
    first, second = (_weights(tmp_path / folder, "mulfree-seed3") for folder in ("a", "b"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_both_networks_start_alike_and_see_the_same_batches(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[Any]] = {"standard": [], "mulfree": []}

    def watch(network: Any, images: torch.Tensor, labels: torch.Tensor) -> float:
        if not seen[network.name]:
            seen[network.name] += [value.clone() for value in network.model.state_dict().values()]
        seen[network.name].append(images)
        return 1.0

    monkeypatch.setattr(loop, "train_step", watch)
    run()
    pairs = list(zip(seen["standard"], seen["mulfree"], strict=True))
    assert len(pairs) > 6
    assert all(torch.equal(a, b) for a, b in pairs)


def test_several_seeds(run: Run, tmp_path: Path) -> None:
    result = run(policy="standard", seeds=2, seed=4).results["standard"]
    assert len(result.accuracies) == 2
    assert result.spread >= 0
    assert (tmp_path / "out" / "standard-seed4.pt").exists()
    assert (tmp_path / "out" / "standard-seed5.pt").exists()


@pytest.mark.parametrize("policy", ["standard", "full"])
def test_diverging_loss_writes_nothing(policy: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "train_step", lambda *_: float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"standard network became nan in epoch 1, step 1"):
        run(policy=policy)
    assert list(tmp_path.iterdir()) == []


def test_infinite_images_are_noticed(run: Run, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError):
        run(policy="standard", lr=1e38, epochs=4)
    assert list(tmp_path.iterdir()) == []


def test_interruption_writes_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> float:
        raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "curves.png").write_text("of an earlier run")
    monkeypatch.setattr(loop, "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["of an earlier run"]


def test_unusable_folder_is_noticed_before_training(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "train_step", lambda *_: pytest.fail("training has started"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to the output folder"):
        run(output_dir=tmp_path / "file" / "out")


def test_batch_larger_than_the_data(run: Run) -> None:
    with pytest.raises(ConfigError, match="batch_size must be at most 24"):
        run(batch_size=25)
