"""What a kernel takes of a multiprocessor, from the machine code's ELF sections."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_REGISTERS, _FRAME, _MOST_THREADS = 0x2F, 0x11, 0x05  # EIATTR_REGCOUNT, _FRAME_SIZE, _MAX_THREADS
_SIZED = 4  # EIFMT_SVAL: an attribute that is followed by as many bytes as it says
_INFO, _SHARED = ".nv.info", ".nv.shared."
_MARK = ".nv.shared.reserved.0"  # there where the sizes of shared memory contain what the system takes
_SECTION, _SYMBOL = "<IIQQQQIIQQ", "<IBBHQQ"

RESERVED_SHARED = 1024
"""Bytes that the system takes of every block."""


@dataclass(frozen=True)
class Resources:
    """Of one kernel; bytes, registers of a thread, threads of a block. ``shared`` is what the kernel declares."""

    kernel: str
    threads: int
    registers: int
    stack: int
    shared: int


@dataclass(frozen=True)
class _Section:
    name: str
    content: bytes
    size: int


def _text(table: bytes, start: int) -> str:
    return table[start : table.index(b"\0", start)].decode()


def _sections(code: bytes) -> dict[str, _Section]:
    if code[:4] != b"\x7fELF":
        raise ValueError("machine code for CUDA must be an ELF file")
    (start,) = struct.unpack_from("<Q", code, 40)
    size, count, names = struct.unpack_from("<HHH", code, 58)
    headers = [struct.unpack_from(_SECTION, code, start + index * size) for index in range(count)]
    table = code[headers[names][4] :]
    found = [_Section(_text(table, h[0]), code[h[4] : h[4] + h[5]], h[5]) for h in headers]
    return {section.name: section for section in found}


def _attributes(info: bytes) -> Iterator[tuple[int, bytes]]:
    """Those that have bytes of their own."""
    at = 0
    while at < len(info):
        form, name, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == _SIZED:
            yield name, info[at : at + size]
            at += size


def resources(code: bytes) -> list[Resources]:
    """Of every kernel, by name.

    Raises:
        ValueError: the code is no ELF file.
    """
    sections = _sections(code)
    symbols, names = sections[".symtab"].content, sections[".strtab"].content
    of_symbols: dict[tuple[str, int], int] = {}
    for attribute, content in _attributes(sections[_INFO].content):
        if attribute in (_REGISTERS, _FRAME):
            symbol, value = struct.unpack_from("<II", content)
            name, *_ = struct.unpack_from(_SYMBOL, symbols, symbol * struct.calcsize(_SYMBOL))
            of_symbols[_text(names, name), attribute] = value
    reserved = RESERVED_SHARED if _MARK in sections else 0
    found = []
    for kernel in sorted(name.removeprefix(f"{_INFO}.") for name in sections if name.startswith(f"{_INFO}.")):
        shared = sections.get(_SHARED + kernel)
        own = dict(_attributes(sections[f"{_INFO}.{kernel}"].content))
        found.append(
            Resources(
                kernel=kernel,
                threads=struct.unpack_from("<I", own[_MOST_THREADS])[0],
                registers=of_symbols[kernel, _REGISTERS],
                stack=of_symbols[kernel, _FRAME],
                shared=0 if shared is None else shared.size - reserved,
            )
        )
    return found
