"""Running Yosys: the Python package pyosys or a program on the path, always in a process of its own, always timed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mulfree.hardware.processes import run_timed

MISSING = "Yosys is not installed; neither is pyosys a package nor yosys on the path: pip install 'mulfree[hdl]'"
_DONE = "mulfree: every command ran"
# pyosys runs one command a call; the last line shows that it came to the end, whatever the exit code is.
_RUNNER = """
import sys
from pyosys import libyosys
design = libyosys.Design()
libyosys.run_pass("script " + sys.argv[1], design)
"""


class YosysError(RuntimeError):
    """Yosys failed, ran out of time, or ended before its last command."""


def available() -> bool:
    """Whether there is a Yosys to run."""
    return _program() is not None


def _program() -> list[str] | None:
    if importlib.util.find_spec("pyosys"):
        return [sys.executable, "-c", _RUNNER]
    program = shutil.which("yosys")
    return [program, "-s"] if program else None


def run(commands: list[str], seconds: float, folder: Path | None = None) -> str:
    """Run ``commands`` in ``folder`` and return what Yosys printed.

    Raises:
        ImportError: There is no Yosys.
        YosysError: It failed, or took longer than ``seconds``: it and all its children are ended.
    """
    program = _program()
    if program is None:
        raise ImportError(MISSING)
    with tempfile.TemporaryDirectory() as place:
        script = Path(place) / "script.ys"
        script.write_text("\n".join([*commands, f"log {_DONE}", ""]))
        try:
            done = run_timed([*program, str(script)], folder or Path(place), seconds)
        except subprocess.TimeoutExpired:
            raise YosysError(f"Yosys took longer than {seconds:g} s") from None
    output = done.stdout
    if done.returncode or _DONE not in output.splitlines()[-40:]:
        tail = "\n".join(output.splitlines()[-15:])
        raise YosysError(f"Yosys ended early, exit code {done.returncode}:\n{tail}")
    return output
