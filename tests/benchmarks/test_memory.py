"""The process that measures the memory of one product."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory

ROOT = Path(__file__).parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_arguments() -> None:
    assert "usage: python -m benchmarks.memory" in _run("--help").stdout
    for arguments in ((), ("1", "2", "three", "4")):
        refused = _run(*arguments)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr


@pytest.mark.skipif(not memory.RESET.exists(), reason=f"needs {memory.RESET}")
def test_a_product() -> None:
    done = _run("64", "64", "64", "1")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 0
