"""Instructions of a shared library, from ``objdump`` (binutils or LLVM) or the ``capstone`` package."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


class DisassemblerError(RuntimeError):
    """The library cannot be disassembled here; the message says why and what would help."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: the mangled name of the symbol it belongs to, its mnemonic and its operands."""

    symbol: str
    mnemonic: str
    operands: str


Wanted = Callable[[str], bool]

_MACHINES: Final = {62: "x86_64", 183: "aarch64"}
_LABEL: Final = re.compile(r"[0-9a-f]+ <(.+)>:")
_LINE: Final = re.compile(r"\s*[0-9a-f]+:\s+(\S.*)")
_PREFIXES: Final = frozenset(
    {"lock", "rep", "repz", "repnz", "repe", "repne", "notrack", "bnd", "data16", "cs", "{evex}", "{vex}", "{vex3}"}
)


def objdump() -> str | None:
    """Path of the disassembler of binutils or LLVM, or None."""
    return shutil.which("objdump") or shutil.which("llvm-objdump")


def disassemble(path: Path, wanted: Wanted) -> tuple[str, Iterator[Instruction]]:
    """Machine ("x86_64" or "aarch64") of the library at ``path`` and the instructions of its ``wanted`` symbols.

    Raises:
        DisassemblerError: no disassembler, or not an ELF file for a known machine, or no symbol table.
    """
    library = _Elf(path)
    if tool := objdump():
        listing = subprocess.run(
            [tool, "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True, check=False
        )
        if listing.returncode:
            raise DisassemblerError(f"{tool} failed on {path}: {listing.stderr.strip()}")
        return library.machine, parse_listing(listing.stdout.splitlines(), wanted)
    try:
        import capstone
    except ImportError:
        raise DisassemblerError(
            "no disassembler: install binutils (for objdump) or the Python package capstone"
        ) from None
    return library.machine, _with_capstone(capstone, library, wanted)


def parse_listing(lines: list[str], wanted: Wanted) -> Iterator[Instruction]:
    """Instructions in the text that ``objdump -d`` prints."""
    symbol = ""
    for line in lines:
        if label := _LABEL.fullmatch(line.strip()):
            symbol = label[1] if wanted(label[1]) else ""
        elif symbol and (found := _LINE.fullmatch(line)):
            words = found[1].split()
            while len(words) > 1 and words[0] in _PREFIXES:
                words = words[1:]
            yield Instruction(symbol, words[0], " ".join(words[1:]))


def _with_capstone(capstone: Any, library: _Elf, wanted: Wanted) -> Iterator[Instruction]:
    if library.machine == "x86_64":
        engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    else:
        engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    engine.skipdata = True
    for symbol, code in library.functions(wanted):
        for _address, _size, mnemonic, operands in engine.disasm_lite(code, 0):
            yield Instruction(symbol, mnemonic.split()[-1], operands)


class _Elf:
    """The little of a 64-bit little-endian ELF file that is needed: its machine and the code of its functions."""

    _SYMBOL_TABLES = (2, 11)  # SHT_SYMTAB, SHT_DYNSYM
    _FUNCTION = 2  # STT_FUNC

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        if self._content[:6] != b"\x7fELF\x02\x01":
            raise DisassemblerError(f"{path} is not a 64-bit little-endian ELF file")
        number = struct.unpack_from("<H", self._content, 18)[0]
        if number not in _MACHINES:
            raise DisassemblerError(f"{path} is for an unknown machine (ELF number {number})")
        self.machine = _MACHINES[number]
        start, entry, count = (
            struct.unpack_from("<Q", self._content, 40)[0],
            *struct.unpack_from("<HH", self._content, 58),
        )
        # name, type, flags, address, offset, size, link, info, alignment, entry size
        self._sections = [struct.unpack_from("<IIQQQQIIQQ", self._content, start + i * entry) for i in range(count)]

    def functions(self, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
        seen = set()
        for _, kind, _, _, offset, size, link, _, _, entry in self._sections:
            if kind not in self._SYMBOL_TABLES:
                continue
            names = self._sections[link][4]
            for place in range(offset, offset + size, entry):
                name, info, _, section, address, length = struct.unpack_from("<IBBHQQ", self._content, place)
                if info & 15 != self._FUNCTION or not 0 < section < len(self._sections) or (address, length) in seen:
                    continue
                begin = names + name
                symbol = self._content[begin : self._content.index(b"\0", begin)].decode()
                if wanted(symbol):
                    seen.add((address, length))
                    home = self._sections[section]
                    start = address - home[3] + home[4]
                    yield symbol, self._content[start : start + length]
