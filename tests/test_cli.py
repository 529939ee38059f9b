"""The command line: exit codes and messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mulfree.cli import app
from mulfree.train import loop

runner = CliRunner()


def _message(*arguments: str, code: int) -> str:
    result = runner.invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def test_train_digits(tmp_path: Path) -> None:
    output = _message(
        "train", "digits", "--policy", "standard", "--epochs", "1", "--batch-size", "400", "--output-dir",
        str(tmp_path / "out"), code=0,
    )  # fmt: skip
    assert "test accuracy" in output
    assert str(tmp_path / "out" / "curves.png") in output.replace("\n", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "epochs must be at least 1"),
        (["--batch-size", "5000"], "batch_size must be at most 1433"),
        (["--lr", "-1"], "lr must be positive"),
        (["--device", "abacus"], "abacus"),
        (["--policy", "none"], "policy"),
        (["--seeds", "many"], "seeds"),
    ],
)
def test_bad_options(options: list[str], message: str, tmp_path: Path) -> None:
    assert message in _message("train", "digits", "--output-dir", str(tmp_path / "out"), *options, code=2)
    assert list(tmp_path.iterdir()) == []


def test_unusable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = _message("train", "digits", "--output-dir", str(tmp_path / "file"), code=1)
    assert "cannot write to the output folder" in output


def test_diverging_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "train_step", lambda *_: float("inf"))
    output = _message("train", "digits", "--policy", "standard", "--output-dir", str(tmp_path / "out"), code=1)
    assert "try a lower learning rate" in output
    assert list(tmp_path.iterdir()) == []


def test_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train_step", interrupt)
    output = _message("train", "digits", "--policy", "standard", "--output-dir", str(tmp_path / "out"), code=130)
    assert "interrupted" in output


def test_audit_of_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys, torch\nx = torch.ones(3)\nx * 2 if '--multiply' in sys.argv else x + 2\n")
    assert "script.py:3" in _message("audit", str(script), "--multiply", code=1)
    assert "0 multiplications" in _message("audit", str(script), code=0)
    assert '"multiplications": 3' in _message("audit", "--json", str(script), "--multiply", code=1)


def test_audit_keeps_the_exit_code_of_the_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys, torch\ntorch.ones(3) + 1\nsys.exit(7)\n")
    assert "0 multiplications" in _message("audit", str(script), code=7)


def test_audit_needs_something_to_audit(tmp_path: Path) -> None:
    _message("audit", code=2)
    _message("audit", str(tmp_path / "missing.py"), code=2)


def test_doctor() -> None:
    output = _message("doctor", code=0)
    assert "torch" in output
    assert "CPU backend" in output


def test_help_without_arguments() -> None:
    assert "train" in runner.invoke(app, []).output
