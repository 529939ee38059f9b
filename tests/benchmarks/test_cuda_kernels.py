"""The report on compiled CUDA kernels: parsing of listings and machine code, limits, and the tables."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.cuda_kernels import __main__ as command
from benchmarks.cuda_kernels.cubin import Resources, resources
from benchmarks.cuda_kernels.limits import ARCHITECTURES, H200, issue_rate, resident_blocks, unit_rate
from benchmarks.cuda_kernels.loops import Loop, loops, transfers
from benchmarks.cuda_kernels.report import mix
from mulfree.audit.sass import MISSING, parse
from mulfree.backends.cuda.compiler import compiler_version, machine_code
from mulfree.backends.cuda.plans import program
from mulfree.backends.cuda.programs import groups
from mulfree.backends.cuda.tiles import SLOPE_TILES, TILES

try:
    compiler_version()
    _missing = ""
except ImportError as error:
    _missing = str(error)
needs_compiler = pytest.mark.skipif(bool(_missing), reason=_missing or "NVRTC is there")

SM_90 = ARCHITECTURES["sm_90"]
ADD, TERM = "IMAD.IADD R1, R2, 0x1, R3", "FADD R4, R4, R1"
CLAMPED = ("VIADDMNMX R1, R2, R3, RZ, !PT", "LOP3.LUT R1, R1, R5, R6, 0xf6, !PT", TERM)


def _listing(*lines: str) -> list[str]:
    """As nvdisasm prints them; labels end with a colon."""
    text = ['\t.section\t.text.product,"ax",@progbits', "product:", ".text.product:"]
    return [*text, *(line if line.endswith(":") else f"        /*0010*/                   {line} ;" for line in lines)]


def test_loops_are_told_apart_and_the_unrolled_ones_count() -> None:
    short, fast, clamped = [ADD, TERM] * 4, [ADD, TERM] * 8, [*CLAMPED] * 8
    lines = [*short, ".L_1:", *fast, "LDS.128 R8, [R1]", ".L_2:", *clamped, ".L_3:", "BRA `(.L_1)", TERM]
    found = loops(parse(_listing(*lines))["product"], entries=4)
    assert [(loop.way, loop.products, loop.per_product) for loop in found] == [("fast", 8, 17 / 8), ("clamped", 8, 3.0)]
    assert mix(found[0]) == "1.00 IMAD.IADD, 1.00 FADD, 0.12 LDS"


def test_loads_of_a_slice_are_made_together() -> None:
    load, store = "LDG.E R1, desc[UR4][R2.64]", ["SEL R1, R2, R3, P0", "STS [R4], R1"]
    together = [load] * 3, store * 2, store
    blocks = [line for block in together for line in (*block, "BRA `(.L_1)")]
    assert transfers(parse(_listing(*blocks))["product"], (2, 1)) == 4 + 5 + 3
    one_by_one = [load, "BRA `(.L_1)"] * 3 + [*store, "BRA `(.L_1)"] * 3
    assert transfers(parse(_listing(*one_by_one))["product"], (2, 1)) is None


@pytest.mark.parametrize(
    ("threads", "registers", "shared", "blocks"),
    [
        (256, 32, 0, 8),  # 64 warps
        (256, 33, 0, 6),  # 40 registers each
        (256, 173, 0, 1),
        (256, 128, 0, 2),
        (64, 168, 0, 6),
        (32, 16, 0, 32),  # most blocks
        (128, 32, 48 * 1024, 4),  # shared memory, with what the system takes
    ],
)
def test_resident_blocks(threads: int, registers: int, shared: int, blocks: int) -> None:
    assert resident_blocks(Resources("k", threads, registers, 0, shared), SM_90) == blocks


def test_limits_of_a_loop() -> None:
    loop = Loop("clamped", 1, Counter(FADD=1, VIADDMNMX=1, LOP3=1))
    a_clock = H200.multiprocessors * H200.clock * 1e9
    assert issue_rate(2.0, H200) == 64 * a_clock
    assert unit_rate(loop, SM_90, H200) == 32 * a_clock
    assert unit_rate(loop, ARCHITECTURES["sm_100"], H200) is None


def test_machine_code_must_be_an_elf_file() -> None:
    with pytest.raises(ValueError, match="ELF"):
        resources(b"no machine code")


def test_programs_have_names_of_their_own() -> None:
    for group, named in groups().items():
        assert len({one.name for one in named}) == len(named), group


@needs_compiler
def test_a_compiled_product_has_both_loops() -> None:
    tool = command.disassembler()
    if tool is None:
        pytest.skip(MISSING)
    for named in (groups()["products"][3], groups()["slopes"][0], groups()["patches"][0]):
        (other,) = (found for found in command.inspect("products", named, "sm_90", tool) if found.loops)
        assert not any(loop.kinds["STL"] + loop.kinds["LDL"] for loop in other.loops), named.name
    (kernel,) = command.inspect("products", groups()["products"][0], "sm_90", tool)
    assert kernel.resources.kernel == "product"
    assert kernel.spills == 0
    assert kernel.resources.threads == 256
    assert kernel.resources.registers > 64
    assert kernel.resources.shared > 0
    assert kernel.multiplies == 0
    fast, clamped = kernel.loops
    assert (fast.way, clamped.way) == ("fast", "clamped")
    assert 2 < fast.per_product < 2.5
    assert 3 < clamped.per_product < 3.5


@needs_compiler
@pytest.mark.parametrize("name", ["products", "slopes"])
def test_compiled_products_do_not_wait_for_single_loads(name: str) -> None:
    """Nor does what they load and store take much beside the loop."""
    tool = command.disassembler()
    if tool is None:
        pytest.skip(MISSING)
    chosen = groups()[name][:1] if name == "slopes" else [groups()[name][i] for i in (0, 3, 6)]
    for named in chosen:
        (kernel,) = (found for found in command.inspect(name, named, "sm_90", tool) if found.loops)
        assert kernel.transfers is not None, named.name
        assert named.words is not None
        assert kernel.transfers < 16 * sum(named.words), named.name


@needs_compiler
@pytest.mark.parametrize("slopes", [False, True])
def test_tiles_know_how_many_fit(slopes: bool) -> None:
    for tiles in SLOPE_TILES if slopes else TILES:
        found = resources(machine_code(program("product.cu", tiles, slopes=slopes), "sm_90"))
        (product,) = (kernel for kernel in found if kernel.kernel == "product")
        assert resident_blocks(product, SM_90) == pytest.approx(tiles.resident, rel=0.25), tiles


@needs_compiler
def test_the_command_without_a_disassembler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "disassembler", lambda: None)
    for suffix in ("md", "json"):
        assert command.main(["--only", "dropout", "--output", str(tmp_path / f"kernels.{suffix}")]) == 0
    assert MISSING in capsys.readouterr().err
    text = (tmp_path / "kernels.md").read_text()
    assert MISSING in text
    assert "| dropout.cu | dropout | 256 |" in text
    data = json.loads((tmp_path / "kernels.json").read_text())
    assert data["compiler"] == compiler_version()
    assert data["kernels"][0]["spills"] is None
    assert data["kernels"][0]["warps"] > 0


def test_the_command_refuses_other_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--output", "kernels.txt"]) == 1
    assert ".md or .json" in capsys.readouterr().err
