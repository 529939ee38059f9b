"""Machine instructions of kernels, from ``nvdisasm``; the loops of a product among them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

MISSING = "nvdisasm is missing (pip install nvidia-cuda-nvdisasm): instructions are not counted"

_SECTION = re.compile(r"\s*\.section\s+\.text\.([^,\s]+)")
_LABEL = re.compile(r"[.$\w]+:\s*$")
_INSTRUCTION = re.compile(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)\s*(.*?)\s*;")
_LEAVES = ("BRA", "BRX", "JMP", "CALL", "RET", "EXIT", "WARPSYNC", "BAR")
_SPILLS = ("STL", "LDL")
_MULTIPLIES = ("FMUL", "FFMA", "HMUL2", "HFMA2", "DMUL", "DFMA", "MUFU")
_MIN_MAX = ("VIADDMNMX", "VIMNMX", "IMNMX")


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
    def multiplies(self) -> bool:
        """Floats; not the HFMA2 and FFMA by which constants are loaded, whose factors are zero."""
        return self.base in _MULTIPLIES and not re.search(r"-?RZ, -?RZ,", self.operands)


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
    """The blocks of every kernel.

    Raises:
        RuntimeError: the tool refuses the code.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        done = subprocess.run([tool, "-c", file.name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{tool} cannot disassemble: {done.stderr.strip()}")
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
                raise ValueError(f"an instruction outside of a kernel: {line.strip()}")
            blocks[-1].append(instruction)
            if instruction.base in _LEAVES:
                blocks.append([])
    return kernels


def count(blocks: Iterable[Block], *bases: str) -> int:
    return sum(instruction.base in bases for block in blocks for instruction in block)


def spills(blocks: Iterable[Block]) -> int:
    """Instructions that read or write the stack."""
    return count(blocks, *_SPILLS)


def multiplies(blocks: Iterable[Block]) -> int:
    """Instructions that multiply floats, or take their reciprocal or another function."""
    return sum(instruction.multiplies for block in blocks for instruction in block)


@dataclass(frozen=True)
class Loop:
    """An unrolled loop over ``products`` products, one float addition each."""

    way: str
    products: int
    kinds: Counter[str]

    @property
    def instructions(self) -> int:
        return sum(self.kinds.values())

    @property
    def per_product(self) -> float:
        return self.instructions / self.products


def loops(blocks: Iterable[Block], entries: int) -> list[Loop]:
    """The fast and the clamped loop of a product kernel whose threads have ``entries`` entries each: of the blocks with
    an addition for every entry those with the most, without and with minima or maxima."""
    found: dict[str, Loop] = {}
    for block in blocks:
        kinds = Counter(instruction.kind for instruction in block)
        products = kinds["FADD"]
        if products < entries:
            continue
        way = "clamped" if 2 * sum(kinds[name] for name in _MIN_MAX) >= products else "fast"
        if way not in found or found[way].products < products:
            found[way] = Loop(way, products, kinds)
    return [found[way] for way in ("fast", "clamped") if way in found]
