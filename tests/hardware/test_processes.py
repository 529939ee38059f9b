"""Programs end with their time, and with who started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mulfree.hardware.processes import run_timed

_CHILD = """
import os, sys, time
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""
_PARENT = """
import sys
from pathlib import Path
from mulfree.hardware.processes import run_timed
run_timed([sys.executable, "-c", sys.argv[1], sys.argv[2]], Path(), 60)
"""


def _process(file: Path, seconds: float = 20) -> int:
    """The number that the child writes."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.05)
    raise TimeoutError(file)


def _ended(process: int, seconds: float = 20) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        stat = Path(f"/proc/{process}/stat")
        if not stat.exists() or stat.read_text().rpartition(") ")[2].startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_output(tmp_path: Path) -> None:
    program = "import os, sys; print(os.getcwd()); print('bad', file=sys.stderr); sys.exit(3)"
    done = run_timed([sys.executable, "-c", program], tmp_path, 30)
    assert (done.returncode, done.stdout.split()) == (3, [str(tmp_path), "bad"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_time(tmp_path: Path) -> None:
    file = tmp_path / "process"
    with pytest.raises(subprocess.TimeoutExpired):
        run_timed([sys.executable, "-c", _CHILD, str(file)], tmp_path, 2)
    assert _ended(_process(file))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_parent(tmp_path: Path) -> None:
    file = tmp_path / "process"
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, _CHILD, str(file)])
    child = _process(file)
    os.kill(child, 0)
    parent.kill()
    parent.wait()
    assert _ended(child)
