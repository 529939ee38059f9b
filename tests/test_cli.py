"""The command line: exit codes and messages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mulfree
from mulfree.audit import disassembly
from mulfree.audit.instructions import TargetReport, Violation
from mulfree.backends.cuda.compiler import compiler_version
from mulfree.cli import app
from mulfree.cli.outputs import check_output
from mulfree.train import Trainer
from tests.command_line import message as _message
from tests.tiny_recipe import TINY


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def test_train(tmp_path: Path, tiny: str) -> None:
    out = tmp_path / "out"
    output = _message(
        "train", tiny, "--compare", "standard", "--epochs", "1", "--batch-size", "4", "--derivative",
        "softmax=exact", "--set", "schedule.warmup_steps=0", "--set", 'optimizer.kind="sgd"', "--output-dir", str(out),
        code=0,
    )  # fmt: skip
    assert "accuracy" in output
    assert "time ratio" in output
    assert {path.name for path in out.iterdir()} == {"standard-seed0", "full_softmax-exact-seed0", "comparison.png"}
    assert str(out / "comparison.png") in output.replace("\n", "")
    again = _message("evaluate", str(out / "full_softmax-exact-seed0"), "--checkpoint", "best", code=0)
    assert "accuracy" in again
    assert again.startswith(f"{out / 'full_softmax-exact-seed0'}, step ")  # in one line
    listed = json.loads(_message("runs", str(out), "--json", code=0))
    assert [(run["run"], run["status"], run["steps"]) for run in listed] == [
        ("full_softmax-exact-seed0", "complete", 6),
        ("standard-seed0", "complete", 6),
    ]
    assert "complete" in _message("runs", str(out), "--curves", str(out / "all.png"), code=0)
    assert (out / "all.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_gives_the_result_of_the_training(tmp_path: Path, tiny: str) -> None:
    out = tmp_path / "out"
    _message("train", tiny, "--output-dir", str(out), code=0)
    run = out / "full-seed0"
    _message("evaluate", str(run), code=0)
    scores = json.loads((run / "evaluation-last.json").read_text())["scores"]
    assert scores == json.loads((run / "result.json").read_text())["scores"]
    assert "no folder of a run" in _message("evaluate", str(out), code=1)
    assert "threads must be at least 1" in _message("evaluate", str(run), "--threads", "0", code=2)
    assert "abacus" in _message("evaluate", str(run), "--device", "abacus", code=2)
    (run / "evaluation-best.json").mkdir()
    assert "evaluation-best.json is a folder" in _message("evaluate", str(run), "--checkpoint", "best", code=2)


def test_runs_need_a_folder(tmp_path: Path) -> None:
    assert "no folder" in _message("runs", str(tmp_path / "missing"), code=2)
    assert "has finished an epoch" in _message("runs", str(tmp_path), "--curves", str(tmp_path / "x.png"), code=1)


def test_a_damaged_run_is_listed_beside_the_others(tmp_path: Path, tiny: str) -> None:
    out = tmp_path / "out"
    _message("train", tiny, "--epochs", "1", "--set", "schedule.warmup_steps=0", "--output-dir", str(out), code=0)
    whole = out / "full-seed0"
    result = (whole / "result.json").read_text()
    damages = {
        "result.json": [
            "",
            "[1]",
            "{}",
            result.replace('"score": "', '"score": "no '),
            result.replace(": 0.", ': "x', 1),
        ],
        "metrics.jsonl": ["nothing\n", "[]\n", "{}\n"],
        "recipe.toml": ["[", 'description = "alone"'],
    }
    reasons = {}
    for name, texts in damages.items():
        for index, text in enumerate(texts):
            run = shutil.copytree(whole, out / f"{name}-{index}")
            (run / name).write_text(text)
            reasons[run.name] = name
    (out / "recipe.toml-0" / "recipe.toml").write_bytes(b"\xff")
    found = {run["run"]: run for run in json.loads(_message("runs", str(out), "--json", code=0))}
    assert found.pop("full-seed0")["status"] == "complete"
    assert {run: found[run]["status"] for run in found} == dict.fromkeys(reasons, "damaged")
    assert all(name in found[run]["reason"] for run, name in reasons.items())
    output = _message("runs", str(out), "--curves", str(out / "all.png"), code=0)
    assert "result.json-0 is damaged: cannot read" in output
    assert "complete" in output


def test_list_of_recipes() -> None:
    assert "digits" in _message("train", "--list", code=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "1", "--steps", "3"], "exactly one of epochs and steps must be positive, got 1 and 3"),
        (["--epochs", "0"], "one of epochs and steps must be positive"),
        (["--batch-size", "5000"], "task.batch_size must be at most 24"),
        (["--lr", "-1"], "optimizer.lr: input should be greater than 0"),
        (["--device", "abacus"], "abacus"),
        (["--policy", "none"], "policy"),
        (["--seeds", "many"], "seeds"),
        (["--seeds", "0"], "seeds must be at least 1"),
        (["--threads", "0"], "threads must be at least 1"),
        (["--derivative", "softmax"], "expected NAME=VALUE"),
        (["--derivative", "softmax=true"], "arithmetic.derivative.softmax"),
        (["--set", "training.epoch=3"], "training.epoch is no setting"),
        (["--mantissa-bits", "24"], "arithmetic.mantissa_bits"),
        (["--compare", "all"], "training.compare"),
        (["--policy", "standard", "--mantissa-bits", "4"], "arithmetic.mantissa_bits is of matrix products, which are"),
        (["--policy", "standard", "--compensation", "1.04"], "policy standard replaces nothing"),
        (
            ["--policy", "matmul", "--derivative", "softmax=exact"],
            "arithmetic.derivative.softmax is of operations that",
        ),
        (["--narrow", "backward"], "needs fewer arithmetic.mantissa_bits than 23"),
    ],
)
def test_bad_options(options: list[str], message: str, tmp_path: Path, tiny: str) -> None:
    assert message in _message("train", tiny, "--output-dir", str(tmp_path / "out"), *options, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


def test_no_recipe(tmp_path: Path) -> None:
    assert "no recipe 'figures'" in _message("train", "figures", code=2)
    assert "cannot read the recipe" in _message("train", str(tmp_path / "missing.toml"), code=2)
    assert "--resume needs --output-dir" in _message("train", "digits", "--resume", code=2)


def test_unusable_folder(tmp_path: Path, tiny: str) -> None:
    (tmp_path / "file").write_text("")
    output = _message("train", tiny, "--output-dir", str(tmp_path / "file"), code=1)
    assert "cannot write to the output folder" in output


def test_diverging_loss(tmp_path: Path, tiny: str) -> None:
    output = _message("train", tiny, "--lr", "1e38", "--epochs", "9", "--output-dir", str(tmp_path / "out"), code=1)
    assert "try a lower learning rate" in output


def test_interruption(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Trainer._one

    def interrupted(self: Trainer, *arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_one", interrupted)
    output = _message("train", tiny, "--output-dir", str(tmp_path / "out"), code=130)
    assert "stopped after step 1 of 9; --resume goes on from there" in output


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
    assert "is a folder" in _message("audit", "--html", str(tmp_path), script, code=2)


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
    assert "train" in CliRunner().invoke(app, []).output


def test_help_keeps_brackets() -> None:
    for options in (["--help"], ["rtl", "--help"]):
        assert "'mulfree[hdl]'" in " ".join(_message(*options, code=0).replace("│", " ").split())


def test_version() -> None:
    assert mulfree.__version__ == metadata.version("mulfree")
    assert _message("--version", code=0) == f"mulfree {mulfree.__version__}\n"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["affinity", "--output"], "affinity.png"),
        (["audit", "--json"], "report.json"),
        (["audit", "--html"], "report.html"),
        (["compensation", "--output"], "errors.png"),
        (["cost", "digits", "--json"], "cost.json"),
        (["cost", "digits", "--output"], "cost.png"),
        (["hardware", "operands", "digits", "--output"], "operands.npz"),
        (["rtl", "pam", "--output"], "pam.v"),
        (["runs", ".", "--curves"], "curves.png"),
        (["vectors", "--output"], "mul.json"),
    ],
)
def test_outputs_are_checked_before_the_work(
    command: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = Path("/proc/self")  # no file can be made there, not even by root
    if not forbidden.is_dir():
        pytest.skip(f"needs {forbidden}")
    monkeypatch.chdir(tmp_path)
    script = [_script(tmp_path, "open('ran', 'w')")] if command[0] == "audit" else []

    def output(path: Path, code: int) -> str:
        return _message(*command, str(path), *script, code=code)

    assert f"{command[-1]}: cannot write {forbidden / name}" in output(forbidden / name, 1)
    assert f"{command[-1]}: no folder missing" in output(Path("missing", name), 2)
    (tmp_path / name).mkdir()
    assert f"{command[-1]}: {name} is a folder" in output(Path(name), 2)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "command", ["affinity --output", "compensation --output", "cost digits --output", "runs . --curves"]
)
def test_figures_are_png(command: str, tmp_path: Path) -> None:
    words, path = command.split(), tmp_path / "figure.pdf"
    assert f"{words[-1]}: expected a name that ends in .png, got {path}" in _message(*words, str(path), code=2)
    assert not path.exists()


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_text("kept")
    check_output("--output", path, ".png")
    assert path.read_text() == "kept"


def test_architectures_of_cuda() -> None:
    try:
        compiler_version()
    except ImportError as error:
        pytest.skip(str(error))
    for name in ("foo", "90", "sm_1"):
        output = _message("audit", "--cuda", name, code=2)
        assert "--cuda must be one of sm_75," in output
        assert f"got '{name}'" in output
