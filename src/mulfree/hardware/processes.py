"""Programs that may run too long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

_BOUND: Final = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGKILL = 1, 9
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Becomes a program that Linux ends with its parent, however that ends."""


def run_timed(command: list[str], folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in ``folder``; ``stdout`` of the result holds all that it printed.

    Raises:
        subprocess.TimeoutExpired: It took longer than ``seconds``: it and all its children are ended.
    """
    bound = [sys.executable, "-c", _BOUND, *command] if sys.platform == "linux" else command
    process = subprocess.Popen(
        bound, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    finally:
        _end(process)
    return subprocess.CompletedProcess(command, process.returncode, output)


def _end(process: subprocess.Popen[str]) -> None:
    """End the process and its children if any are left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    process.wait()
