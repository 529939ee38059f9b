"""What runs where kernels, or what they are made of, are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mulfree.backends import select
from mulfree.backends.cuda import compiler, kernels
from mulfree.cli import doctor
from tests.command_line import message


@pytest.fixture
def no_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation without the folder ``csrc``; a compiler is there."""
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "lib" / "mulfree" / "backends" / "cuda" / "kernels.py"))
    for module in (compiler, doctor):
        monkeypatch.setattr(module, "compiler_version", lambda: "13.0")
    kernels.source_root.cache_clear()
    yield tmp_path / "lib" / "mulfree"
    kernels.source_root.cache_clear()


def test_the_reference_runs_on_cuda_without_the_kernels_sources(no_sources: Path) -> None:
    reason = f"sources of mulfree's CUDA kernels are missing: reinstall mulfree .*{no_sources / 'csrc'}"
    with pytest.raises(ImportError, match=reason):
        select.named("cuda")
    with pytest.warns(select.BackendWarning, match=reason):
        assert select._default.__wrapped__("cuda", 99).name == "reference"


def test_doctor_tells_that_the_sources_are_missing(no_sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no sources" in message("doctor", code=0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a device")
    assert "reinstall mulfree" in message("doctor", code=0)


def test_hints_keep_their_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise ImportError("pip install 'mulfree[cuda]'")

    monkeypatch.setattr(doctor, "compiler_version", missing)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a device")
    assert "pip install 'mulfree[cuda]'" in message("doctor", code=0)


def test_missing_kernels_are_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError("no kernels")

    with monkeypatch.context() as patched:
        patched.setattr(select, "named", lambda name: missing(name) if name == "cpu" else name)
        with pytest.warns(select.BackendWarning, match=r"much slower\. MULFREE_REQUIRE_NATIVE=1 pip install \."):
            assert select._default.__wrapped__("cpu", None) == "reference"
        assert "MULFREE_REQUIRE_NATIVE=1 pip install ." in message("doctor", code=0)


@pytest.mark.native
@pytest.mark.parametrize(("command", "code"), [("doctor", 1), ("compensation", 2)])
def test_an_unknown_instruction_set_is_no_traceback(command: str, code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mulfree", command],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "MULFREE_CPU": "abacus"},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    output = (done.stdout + done.stderr).replace("\n", " ")
    assert "MULFREE_CPU must be one of" in output
    assert "got 'abacus'" in output
    assert "Traceback" not in output
