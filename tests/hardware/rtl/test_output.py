"""``mulfree rtl``, what it needs, and how Yosys is run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mulfree.hardware.rtl import BFLOAT16, UNITS, Format, catalog, unit, yosys
from mulfree.hardware.rtl.proof import Proof
from mulfree.hardware.rtl.yosys import YosysError
from tests.command_line import message

needs_yosys = pytest.mark.skipif(not yosys.available(), reason=yosys.MISSING)


def test_importing_brings_no_amaranth() -> None:
    program = "import mulfree.cli, mulfree.hardware.rtl, sys; print([m for m in sys.modules if 'amaranth' in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_without_amaranth(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith(("amaranth", "mulfree.hardware.rtl.reg"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "amaranth", None)
    for module in ("registers", "circuits", "products"):
        monkeypatch.delitem(sys.modules, f"mulfree.hardware.rtl.{module}", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'mulfree\[hdl\]'"):
        unit("pam", BFLOAT16)
    assert catalog.MISSING in message("rtl", "pam", code=2)
    assert "pam_dot" in message("rtl", "--list", code=0)


def test_list() -> None:
    text = message("rtl", "--list", code=0)
    assert all(name in text for name in UNITS)


@needs_yosys
def test_verilog_and_rtlil(tmp_path: Path) -> None:
    pytest.importorskip("amaranth", reason=catalog.MISSING)
    verilog, rtlil = tmp_path / "pam.v", tmp_path / "mac.il"
    message("rtl", "pam", "--format", "bfloat16", "-o", str(verilog), code=0)
    text = verilog.read_text()
    assert text.startswith("// pam_bfloat16: PAM")
    assert "// Written by mulfree " in text
    assert "// Format bfloat16: 1 sign, 8 exponent, 7 mantissa bits; ONE = 0x3f80, MIN = 0x80," in text
    assert "// Result: mul(a, b): mag(a) + mag(b) - ONE, zero if below MIN, infinity from INF on." in text
    assert "// Special operands: NaN * any, inf * 0: NAN; inf * x" in text
    assert "// Denormals of the format count as the zero of their sign" in text
    assert "module pam_bfloat16(" in text
    assert text.count("endmodule") == 1
    message("rtl", "pam_mac", "--format", "E8M4", "--alpha", "1.04", "-o", str(rtlil), code=0)
    text = rtlil.read_text()
    assert text.startswith("# pam_mac_e8m4: multiply-accumulate")
    assert "# Options: alpha = 1.04." in text
    assert "module \\pam_mac_e8m4" in text
    assert "posedge" not in message("rtl", "pad", "--combinational", code=0)
    yosys.run([f"read_verilog {verilog}", "hierarchy -check -top pam_bfloat16", "check -assert"], 60)
    yosys.run([f"read_rtlil {rtlil}", "hierarchy -check -top pam_mac_e8m4", "proc", "check -assert"], 60)


@needs_yosys
def test_a_unit_is_proved_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("amaranth", reason=catalog.MISSING)
    path = tmp_path / "pam.v"
    output = message("rtl", "pam", "--format", "E3M1", "--prove", "--seconds", "60", "-o", str(path), code=0)
    assert "equal to the law" in output
    assert "module pam_e3m1(" in path.read_text()
    path.unlink()
    wrong = Proof("pam", Format.named("E3M1"), False, 1.0, (1, 2), 3, 4)
    monkeypatch.setattr("mulfree.cli.rtl.prove", lambda *_: wrong)
    assert "the unit makes 0x3, the law 0x4" in message("rtl", "pam", "--prove", "-o", str(path), code=1)
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "Usage"),
        (("pem",), "unit must be one of"),
        (("pam", "--format", "E1M1"), "exponent bits"),
        (("pam", "-o", "pam.vhd"), ".v or .il"),
        (("pam", "--lanes", "2"), "no option lanes"),
        (("pam", "--prove", "--alpha", "2"), "no option alpha"),
        (("pam", "--prove", "--lanes", "2"), "no option lanes"),
        (("pam", "--prove", "--seconds", "-1"), "--seconds: must be positive, got -1"),
        (("pam", "--prove", "--seconds", "nan"), "--seconds: must be positive"),
        (("pam", "--seconds", "9"), "--seconds: goes with --prove"),
        (("pam", "--prove", "-o", "pam.vhd"), ".v or .il"),
        (("widening_pam", "--prove", "-o", "pam.v"), "leave out --output"),
    ],
)
def test_errors(arguments: tuple[str, ...], reason: str) -> None:
    pytest.importorskip("amaranth", reason=catalog.MISSING)
    assert reason in message("rtl", *arguments, code=2)


@needs_yosys
def test_yosys_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    started = time.monotonic()
    with pytest.raises(YosysError, match=r"longer than 0\.7 s"):
        yosys.run([f"exec -- sleep 2; touch {mark}"], 0.7)
    time.sleep(max(0, 3 - (time.monotonic() - started)))
    assert not mark.exists()


@needs_yosys
def test_failures_of_yosys_are_seen() -> None:
    with pytest.raises(YosysError, match=r"No such command: nonsense"):
        yosys.run(["nonsense"], 60)
    assert "Hello" in yosys.run(["log Hello"], 60)


def test_a_silent_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Yosys that stops at its first call of another program, with exit code 0."""
    monkeypatch.setattr(yosys, "_program", lambda: [sys.executable, "-c", "print('log mulfree')"])
    with pytest.raises(YosysError, match="ended early, exit code 0"):
        yosys.run(["log Hello"], 60)


def test_without_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yosys, "_program", lambda: None)
    with pytest.raises(ImportError, match=r"pip install 'mulfree\[hdl\]'"):
        yosys.run([], 1)
