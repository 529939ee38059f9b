"""What is above the kernels, on a simulated CUDA device, in a process of its own: the tests that otherwise need one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda.device import HAS_DEVICE
from tests.cuda.emulator import skip_without_compiler

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(HAS_DEVICE, reason="there is a CUDA device"),
    *skip_without_compiler(),
]

_ROOT = Path(__file__).parents[2]


def _simulated(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.cuda.simulation", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize(
    ("path", "skipped"),
    [
        ("cuda/simulation/checks.py", 0),
        ("cuda/test_functions.py", 0),
        ("cuda/test_device.py", 1),  # more memory than there is
        ("train/test_device.py", 0),
    ],
)
def test_tests_of_the_device(path: str, skipped: int) -> None:
    printed = _simulated("pytest", f"tests/{path}", "-p", "no:xdist", "-p", "no:cacheprovider", "-rs")
    assert re.search(r"\b[1-9]\d* passed", printed), printed
    found = re.search(r"\b(\d+) skipped", printed)
    assert int(found[1] if found else 0) == skipped, printed


def test_benchmarks() -> None:
    printed = _simulated("benchmarks.cuda", "--quick", "--only", "products", "elementwise")
    assert "simulated" in printed
    assert "wrong result" not in printed
