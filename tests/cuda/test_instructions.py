"""The CUDA kernels compile for every architecture, and their machine code multiplies no floats."""

from __future__ import annotations

import pytest

from mulfree.audit.disassembly import DisassemblerError
from mulfree.audit.instructions import FORBIDDEN
from mulfree.audit.sass import Instruction, classes_of, disassembler, inspect_programs, parse
from mulfree.backends.cuda.compiler import compiler_version
from mulfree.backends.cuda.programs import Named, groups

FEW_SPILLS = 32
"""Instructions that spill registers, of a program. The loops of products have none (tests/benchmarks)."""


def _needs_tools() -> str:
    try:
        compiler_version()
    except ImportError as error:
        return str(error)
    return "" if disassembler() else "no nvdisasm"


needs_tools = pytest.mark.skipif(bool(_needs_tools()), reason=_needs_tools() or "there are tools")

EVERYTHING = [named for found in groups().values() for named in found]
QUICK = [
    *(groups()["products"][i] for i in (0, 3)), groups()["slopes"][1], groups()["patches"][2],
    *groups()["elementwise"][::4], *groups()["rows"][::6], *groups()["sums"], *groups()["channels"][1:],
    *groups()["optimizers"][2:5], *groups()["dropout"],
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("FADD.FTZ R1, R2, R3", "float add"),
        ("FMUL.FTZ R1, R2, R3", "float multiply"),
        ("FMUL32I R1, R2, 2", "float multiply"),
        ("FFMA R1, R2, R3, R4", "fused multiply-add"),
        ("FFMA2 R1, R2, R3, R4", "fused multiply-add"),
        ("HFMA2.MMA R1, -RZ, RZ, 0, 0", "other"),
        ("HFMA2 R1, R2, R3, R4", "fused multiply-add"),
        ("HFMA2.BF16_V2 R1, R2, R3, R4", "fused multiply-add"),
        ("HMUL2.BF16_V2 R1, R2, R3", "float multiply"),
        ("DFMA R2, R4, R6, R8", "fused multiply-add"),
        ("MUFU.RCP R1, R2", "special function"),
        ("HMMA.16816.F32 R4, R8, R12, R4", "matrix multiply"),
        ("HGMMA.64x64x16.F32 R24, gdesc[UR4], R24", "matrix multiply"),
        ("UTCHMMA gdesc[UR4], gdesc[UR6], tmem[UR8]", "matrix multiply"),
        ("IMAD.IADD R1, R2, 0x1, R3", "integer add"),
        ("IMAD.MOV.U32 R1, RZ, RZ, R3", "other"),
        ("IMAD.WIDE R2, R3, R4, R6", "integer multiply"),
        ("VIADDMNMX R1, R2, R3, RZ, !PT", "integer add"),
        ("FSETP.NAN.FTZ.AND P0, PT, R1, R1, PT", "compare"),
        ("F2I.FTZ.NTZ R1, R2", "convert"),
        ("STL [R1], R2", "spill"),
        ("LDG.E R1, desc[UR4][R2.64]", "other"),
    ],
)
def test_classes(text: str, name: str) -> None:
    mnemonic, _, operands = text.partition(" ")
    assert Instruction(mnemonic, operands).name == name


def test_blocks_end_at_labels_and_jumps() -> None:
    lines = ["S2R R2, SR_TID.X", "@P0 BRA `(.L_1)", "FADD R4, R4, R1", ".L_1:", "@!P0 EXIT", "IADD3 R1, R2, R3, RZ"]
    text = ['\t.section\t.text.product,"ax",@progbits', "product:"]
    text += [line if line.endswith(":") else f"        /*0010*/                   {line} ;" for line in lines]
    kernels = parse(text)
    assert [[i.base for i in block] for block in kernels["product"] if block] == [
        ["S2R", "BRA"], ["FADD"], ["EXIT"], ["IADD3"],
    ]  # fmt: skip
    assert classes_of(kernels["product"])["float add"] == 1


def _check(programs: list[Named], arch: str) -> None:
    for named in programs:
        report = inspect_programs([named], arch)
        assert report.violations == ()
        assert report.symbols >= 1
        assert report.classes["integer add"] > 10, named.name
        assert report.classes.get("spill", 0) <= FEW_SPILLS, named.name
        if named.program.source in ("product.cu", "softmax.cu", "steps.cu"):
            assert report.classes["float add"] > 10, named.name


@needs_tools
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_some_kernels_of_every_kind(arch: str) -> None:
    _check(QUICK, arch)


@needs_tools
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_100"])
def test_every_kernel(arch: str) -> None:
    _check(EVERYTHING, arch)


@needs_tools
def test_what_cannot_be_compiled_is_named() -> None:
    with pytest.raises(DisassemblerError, match=r"dropout.cu.*sm_1"):
        inspect_programs(groups()["dropout"], "sm_1")


def test_forbidden_classes_are_known() -> None:
    assert {"float multiply", "fused multiply-add", "special function", "matrix multiply"} <= FORBIDDEN
