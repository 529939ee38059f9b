"""The audit of machine instructions, on listings and on a small compiled library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mulfree.audit import disassembly
from mulfree.audit.disassembly import DisassemblerError, disassemble, objdump, parse_listing
from mulfree.audit.instructions import FORBIDDEN, classify_instruction, inspect, inspect_library, kernel_of, target_of

BAD, GOOD = "_ZN7mulfree4avx23badEff", "_ZN7mulfree8baseline4goodEff"

LISTING = f"""
0000000000001100 <{BAD}>:
    1100:\tvmulps %ymm1,%ymm0,%ymm0
    1104:\trepz ret

0000000000001110 <{GOOD}>:
    1110:\taddss  %xmm1,%xmm0
    1114:\tcall   1030 <sqrtf@plt>
    1118:\tret

0000000000001120 <somebody_else>:
    1120:\tmulss  %xmm1,%xmm0
"""


@pytest.mark.parametrize(
    ("kind", "mnemonics"),
    [
        ("float multiply", "mulss vmulps vmulsd mulpd vmulph vscalefps"),
        ("float divide", "divss vdivps divpd"),
        ("fused multiply-add", "vfmadd231ps vfnmadd132ss vfmaddsub213pd vfmsub231sd vfnmsub231ps vdpps vdpbf16ps"),
        ("square root", "sqrtss vsqrtpd"),
        ("reciprocal", "rcpss vrcp14ps vrsqrt14ps rsqrtps vrsqrtss"),
        ("x87", "fmul fmulp fmuls fimul fdiv fdivrp fsqrt"),
        ("float add", "addss vaddps subpd vsubss vhaddps"),
        ("compare", "vcmpltps cmpss ucomiss vmaxps minsd"),
        ("convert", "cvtsi2ss vcvtdq2ps vgetexpps"),
        ("integer multiply", "imul mul mulq vpmulld pmaddwd mulx"),
        ("integer divide", "div idivl"),
        ("integer add", "vpaddd psubd addq sub lea"),
        ("other", "vmovaps xor vpandd jmp ret vpermd vblendmps fld vandps"),
    ],
)
def test_x86_classes(kind: str, mnemonics: str) -> None:
    assert {classify_instruction("x86_64", mnemonic) for mnemonic in mnemonics.split()} == {kind}


@pytest.mark.parametrize(
    ("kind", "mnemonics"),
    [
        ("float multiply", "fmul fnmul fmulx"),
        ("fused multiply-add", "fmla fmls fmadd fmsub fnmadd fnmsub fmlal"),
        ("float divide", "fdiv"),
        ("square root", "fsqrt"),
        ("reciprocal", "frecpe frecps frsqrte frsqrts"),
        ("float add", "fadd fsub faddp"),
        ("compare", "fcmp fcmgt fmax fminnm"),
        ("convert", "scvtf fcvtzs"),
        ("integer multiply", "mul madd smull mla"),
        ("integer add", "add sub adds"),
        ("other", "ldr mov and"),
    ],
)
def test_arm_classes(kind: str, mnemonics: str) -> None:
    assert {classify_instruction("aarch64", mnemonic) for mnemonic in mnemonics.split()} == {kind}


def test_symbols() -> None:
    assert target_of(BAD) == "avx2"
    assert target_of("_ZZN7mulfree6avx51212_GLOBAL__N_13runEvENKUlvE_clEv") == "avx512"
    assert target_of("_ZN7mulfree4wide12matmulE") == "wide"
    assert target_of("_ZN7mulfree7currentEv") is None
    assert target_of("sqrtf") is None


def test_kernels() -> None:
    assert kernel_of("_ZN7mulfree4avx210layer_normEPKfS2_S2_PfS3_NS_9RowsShapeEii") == "layer_norm"
    assert kernel_of("_ZN7mulfree6avx51212_GLOBAL__N_111softmax_rowEPKfPfS4_l") == "softmax_row"
    assert (
        kernel_of("_ZZN7mulfree4wide12_GLOBAL__N_111softmax_rowEPKfPfS4_lENKUllT_E_clIKNS0_3RowEEEDalS6_")
        == "softmax_row"
    )
    assert kernel_of("_ZNSt6vectorIN7mulfree4avx23RowESaIS2_EE4pushEv") == "other"


def test_listing() -> None:
    instructions = parse_listing(LISTING.splitlines(), lambda symbol: target_of(symbol) is not None)
    baseline, avx2 = inspect("x86_64", instructions)
    assert (baseline.target, baseline.symbols, baseline.instructions) == ("baseline", 1, 3)
    assert [v.kind for v in baseline.violations] == ["library call"]
    assert (avx2.target, avx2.instructions) == ("avx2", 2)
    (violation,) = avx2.violations
    assert (violation.kind, violation.symbol) == ("float multiply", BAD)


SOURCE = f"""
float bad(float a, float b) __asm__("{BAD}");
float good(float a, float b) __asm__("{GOOD}");
float bad(float a, float b) {{ return a * b; }}
float good(float a, float b) {{ return a + b; }}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("library")
    (folder / "pair.c").write_text(SOURCE)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", "pair.so", "pair.c"], cwd=folder, check=True)
    return folder / "pair.so"


def _disassembler(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "capstone":
        pytest.importorskip("capstone")
        monkeypatch.setattr(disassembly, "objdump", lambda: None)
    elif objdump() is None:
        pytest.skip("no objdump")


@pytest.mark.parametrize("tool", ["objdump", "capstone"])
def test_flags_a_compiled_product(tool: str, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _disassembler(tool, monkeypatch)
    baseline, avx2 = inspect_library(library)
    assert baseline.violations == ()
    assert baseline.classes["float add"] == 1
    assert [(v.kind in FORBIDDEN, v.symbol) for v in avx2.violations] == [(True, BAD)]


def test_errors(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text.so"
    text.write_text("not a library")
    with pytest.raises(DisassemblerError, match="not a 64-bit"):
        disassemble(text, lambda _: True)
    monkeypatch.setattr(disassembly, "objdump", lambda: None)
    monkeypatch.setitem(__import__("sys").modules, "capstone", None)
    with pytest.raises(DisassemblerError, match="install binutils"):
        disassemble(library, lambda _: True)
