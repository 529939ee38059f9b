"""The command line: exit codes and messages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mulfree.audit import disassembly
from mulfree.audit.instructions import TargetReport, Violation
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


def _script(folder: Path, text: str) -> str:
    path = folder / "script.py"
    path.write_text(text)
    return str(path)


MULTIPLIES_ON_DEMAND = "import sys, torch\nx = torch.ones(3)\nx * 2 if '--multiply' in sys.argv else x + 2\n"


def test_audit_of_a_script(tmp_path: Path) -> None:
    script = _script(tmp_path, MULTIPLIES_ON_DEMAND)
    assert "script.py:3" in _message("audit", script, "--multiply", code=1)
    assert "0 multiplications" in _message("audit", script, code=0)


def test_audit_writes_its_report(tmp_path: Path) -> None:
    script = _script(tmp_path, MULTIPLIES_ON_DEMAND)
    files = [str(tmp_path / "report.json"), str(tmp_path / "report.html")]
    _message("audit", "--json", files[0], "--html", files[1], script, "--multiply", code=1)
    assert json.loads(Path(files[0]).read_text())["multiplications"] == 3
    assert "aten::mul" in Path(files[1]).read_text()
    assert "no folder" in _message("audit", "--json", str(tmp_path / "missing" / "report.json"), script, code=2)
    assert "cannot write" in _message("audit", "--html", str(tmp_path), script, code=1)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("import sys; sys.exit(7)", 7, "0 multiplications"),
        ("import sys; sys.exit('no data')", 1, "no data"),
        ("import sys; sys.exit()", 0, "0 multiplications"),
        ("raise ZeroDivisionError('in the script')", 1, "0 multiplications"),
        ("raise KeyboardInterrupt", 130, "0 multiplications"),
        ("import torch, sys; torch.ones(3) * 2; sys.exit(7)", 7, "aten::mul"),
        ("assert __name__ == '__main__'; import __main__; assert __main__.__file__ == __file__", 0, "0 multi"),
    ],
)
def test_audit_ends_as_the_script_does(text: str, code: int, message: str, tmp_path: Path) -> None:
    assert message in _message("audit", _script(tmp_path, text), code=code)


def test_audit_shows_the_script_s_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = _message("audit", _script(tmp_path, "def f():\n    raise ValueError('reason')\nf()\n"), code=1)
    shown = output + capfd.readouterr().err
    assert "ValueError: reason" in shown
    assert "runpy" not in shown


def test_audit_imports_the_script_s_neighbours(tmp_path: Path) -> None:
    (tmp_path / "audit_neighbour.py").write_text("import torch\nx = torch.ones(3) * 2\n")
    assert "audit_neighbour.py:2" in _message("audit", _script(tmp_path, "import audit_neighbour"), code=1)


def test_audit_needs_something_to_audit(tmp_path: Path) -> None:
    _message("audit", code=2)
    _message("audit", str(tmp_path / "missing.py"), code=2)
    _message("audit", "--kernels", "--html", str(tmp_path / "report.html"), code=2)


@pytest.mark.native
def test_audit_of_the_kernels() -> None:
    output = _message("audit", "--kernels", code=0)
    assert "forbidden" in output
    assert "softmax" in output


@pytest.mark.native
def test_audit_of_the_kernels_without_a_disassembler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disassembly, "objdump", lambda: None)
    monkeypatch.setitem(sys.modules, "capstone", None)
    assert "install binutils" in _message("audit", "--kernels", code=1)


@pytest.mark.native
def test_audit_of_kernels_that_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (Violation("float multiply", "_ZN7mulfree4avx23addEv", "vmulps %ymm0,%ymm0,%ymm0"),)
    report = TargetReport("avx2", 1, 1, {"float multiply": 1}, {"add": {"float multiply": 1}}, found)
    monkeypatch.setattr("mulfree.cli.audit.inspect_library", lambda library: (report,))
    assert "vmulps" in _message("audit", "--kernels", code=1)


def test_doctor() -> None:
    output = _message("doctor", code=0)
    assert "torch" in output
    assert "CPU backend" in output


def test_help_without_arguments() -> None:
    assert "train" in runner.invoke(app, []).output
