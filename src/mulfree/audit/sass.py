"""The audit of the CUDA kernels' machine instructions: programs are compiled and disassembled by ``nvdisasm``."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mulfree.audit.disassembly import DisassemblerError
from mulfree.audit.instructions import FORBIDDEN, TargetReport, Violation
from mulfree.backends.cuda.compiler import CompilationError, machine_code
from mulfree.backends.cuda.kernels import Program
from mulfree.backends.cuda.programs import Named

MISSING: Final = "nvdisasm is missing: pip install nvidia-cuda-nvdisasm"

_SECTION = re.compile(r"\s*\.section\s+\.text\.([^,\s]+)")
_LABEL = re.compile(r"[.$\w]+:\s*$")
_INSTRUCTION = re.compile(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)\s*(.*?)\s*;")
_LEAVES = ("BRA", "BRX", "JMP", "CALL", "RET", "EXIT", "WARPSYNC", "BAR")
_SPILLS = ("STL", "LDL")

# Class of an instruction: the first one with a pattern that matches the whole mnemonic with its suffixes.
_CLASSES: Final = {
    name: re.compile(pattern)
    for name, pattern in {
        "fused multiply-add": r"[UF]?FFMA2?(?:32I)?(?:\..*)?|DFMA(?:\..*)?|HFMA2(?:[._].*)?|FSWZADD(?:\..*)?",
        "float multiply": r"U?FMUL2?(?:32I)?(?:\..*)?|DMUL(?:\..*)?|HMUL2(?:[._].*)?",
        "matrix multiply": r"(?:UTC)?[HIDQOB]G?MMA(?:[._].*)?",
        "special function": r"MUFU(?:\..*)?|FCHK(?:\..*)?",
        "float add": r"U?FADD2?(?:32I)?(?:\..*)?|DADD(?:\..*)?|HADD2(?:[._].*)?",
        "compare": r"U?[FDH](?:SETP?2?|MNMX3?|SEL)(?:\..*)?",
        "convert": r"U?(?:F2I|I2F|F2F|I2FP|F2FP|F2IP|I2I|FRND)(?:\..*)?",
        "integer add": r"U?IADD3?(?:32I|64)?(?:\..*)?|U?VIADD(?:MNMX3?)?(?:\..*)?|U?LEA(?:\..*)?|U?IMAD\.IADD(?:\..*)?",
        "integer multiply": r"U?IMAD(?!\.MOV|\.IADD)(?:\..*)?|XMAD(?:\..*)?|IMUL(?:\..*)?",
    }.items()
}
_CONSTANT = re.compile(r"U?R\w+, -?U?RZ, U?RZ, .*")
"""Operands of a product of zeros: how the compiler loads a constant on a unit that is free."""


@dataclass(frozen=True)
class Instruction:
    """``mnemonic`` has its suffixes, such as IMAD.IADD."""

    mnemonic: str
    operands: str

    @property
    def base(self) -> str:
        return self.mnemonic.partition(".")[0]

    @property
    def kind(self) -> str:
        """What tables call it: an IMAD that adds is told from one that multiplies or moves."""
        return "IMAD.IADD" if self.mnemonic == "IMAD.IADD" else self.base

    @property
    def name(self) -> str:
        """Its class: a key of the audit's classes, "spill" for accesses to the stack, or "other"."""
        if self.base in _SPILLS:
            return "spill"
        for name, pattern in _CLASSES.items():
            if pattern.fullmatch(self.mnemonic):
                loads = name == "fused multiply-add" and _CONSTANT.fullmatch(self.operands)
                return "other" if loads else name
        return "other"


Block = list[Instruction]
"""Instructions that run one after the other, without a label or a jump in between."""


def disassembler() -> str | None:
    """``nvdisasm`` of the path or of NVIDIA's package; None where there is none."""
    if found := shutil.which("nvdisasm"):
        return found
    spec = find_spec("nvidia")
    folders = [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]
    tools = [tool for folder in folders for tool in sorted(folder.glob("*/bin/nvdisasm*"))]
    return str(tools[-1]) if tools else None


def disassemble(tool: str, code: bytes) -> dict[str, list[Block]]:
    """The blocks of every kernel of ``code``, a cubin.

    Raises:
        DisassemblerError: the tool refuses the code.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        done = subprocess.run([tool, "-c", file.name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DisassemblerError(f"{tool} cannot disassemble: {done.stderr.strip()}")
    return parse(done.stdout.splitlines())


def parse(lines: Iterable[str]) -> dict[str, list[Block]]:
    """The blocks of every kernel of a listing."""
    kernels: dict[str, list[Block]] = {}
    blocks: list[Block] = []
    for line in lines:
        if section := _SECTION.match(line):
            blocks = kernels.setdefault(section[1], [[]])
        elif _LABEL.match(line):
            blocks.append([])
        elif found := _INSTRUCTION.match(line):
            instruction = Instruction(found[1], found[2])
            if not blocks:
                raise DisassemblerError(f"an instruction outside of a kernel: {line.strip()}")
            blocks[-1].append(instruction)
            if instruction.base in _LEAVES:
                blocks.append([])
    return kernels


def classes_of(blocks: Iterable[Block]) -> Counter[str]:
    """How many instructions of each class."""
    return Counter(instruction.name for block in blocks for instruction in block)


def inspect_programs(programs: Iterable[Named], arch: str) -> TargetReport:
    """Compile programs for ``arch``, such as "sm_90", and class the instructions of their kernels.

    Raises:
        DisassemblerError: there is no compiler or no disassembler, or one of them failed.
    """
    tool = disassembler()
    if tool is None:
        raise DisassemblerError(MISSING)
    kernels: dict[str, Counter[str]] = {}
    violations: list[Violation] = []
    for named in programs:
        for kernel, blocks in disassemble(tool, _compiled(named.program, arch)).items():
            symbol = f"{named.program.source}:{kernel}"
            kernels.setdefault(symbol, Counter()).update(classes_of(blocks))
            violations.extend(_violations(f"{symbol} ({named.name})", blocks))
    total = Counter[str]()
    for counts in kernels.values():
        total.update(counts)
    return TargetReport(
        target=arch,
        symbols=len(kernels),
        instructions=total.total(),
        classes=dict(total),
        kernels={kernel: dict(counts) for kernel, counts in kernels.items()},
        violations=tuple(violations),
    )


def _compiled(program: Program, arch: str) -> bytes:
    try:
        return machine_code(program, arch)
    except (ImportError, CompilationError) as error:
        raise DisassemblerError(str(error)) from error


def _violations(symbol: str, blocks: Iterable[Block]) -> Iterator[Violation]:
    for block in blocks:
        for instruction in block:
            if instruction.name in FORBIDDEN:
                yield Violation(instruction.name, symbol, f"{instruction.mnemonic} {instruction.operands}".strip())
