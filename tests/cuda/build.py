"""Builds the CUDA kernels for the processor: the same sources, compiled as plain C++."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from mulfree.backends.cuda.kernels import Program, source_root

HERE = Path(__file__).parent
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
HAS_CHECKS = COMPILER is not None and all(shutil.which(tool) for tool in ("nm", "objcopy"))
"""Whether accesses to memory can be checked: needs binutils."""

_OPTIONS = ("-std=c++20", "-O1", "-fwrapv", "-ffp-contract=off", "-fPIC", "-w")
_APART = 4096
_CHECKED = ("-g1", "-fsanitize=thread", "-fno-gnu-unique", f"-DMF_APART={_APART}")
_EMULATION = ("emulator.cpp", "memory_checks.cpp")
_COPIES = ("memcpy", "memmove", "memset")


def run_tool(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[:4000]}")
    return done.stdout


@cache
def _sources(folder: Path) -> bytes:
    paths = [path for place in (folder, source_root() / "law", HERE) for path in sorted(place.rglob("*.[ch]*"))]
    return b"".join(path.read_bytes() for path in [*paths, Path(__file__)])


def _source(program: Program) -> Path:
    """That of a program in ``csrc/cuda``, or elsewhere by an absolute path."""
    return source_root() / "cuda" / program.source


def place_of(what: object, suffix: str, folder: Path = HERE) -> Path:
    """Where something built lies, by the content of its folder and of what it includes: processes of the tests share
    it."""
    key = hashlib.sha256(_sources(folder) + repr(what).encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"mulfree-emulated-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid()
    return folder / f"{key}{suffix}"


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """A file to write that then becomes ``target`` at once."""
    path = target.with_suffix(f".{os.getpid()}{target.suffix}")
    yield path
    path.replace(target)


def _compile(source: Path, target: Path, *options: str) -> None:
    assert COMPILER is not None
    root = source_root()
    folders = [f"-I{folder}" for folder in (HERE, root / "cuda", root / "law")]
    run_tool(COMPILER, *_OPTIONS, *options, *folders, "-x", "c++", "-c", str(source), "-o", str(target))


@cache
def _emulation() -> tuple[Path, ...]:
    """The objects that all programs share."""
    found = []
    for name in _EMULATION:
        target = place_of(name, ".o")
        if not target.exists():
            with unfinished(target) as path:
                _compile(HERE / name, path)
        found.append(target)
    return tuple(found)


def _build(program: Program, library: Path, checked: bool) -> None:
    assert COMPILER is not None
    macros = [f"-D{name}={value}" for name, value in (("MF_TARGET", "emulated_cuda"), *program.defines)]
    with unfinished(library) as path:
        kernel = path.with_suffix(".o")
        _compile(_source(program), kernel, *macros, *(_CHECKED if checked else ()))
        if checked:
            run_tool("objcopy", *(f"--redefine-sym={name}=checked_{name}" for name in _COPIES), str(kernel))
        run_tool(COMPILER, "-shared", "-Wl,-Bsymbolic", str(kernel), *map(str, _emulation()), "-o", str(path))
        kernel.unlink()


@cache
def built(program: Program, checked: bool = False) -> tuple[ctypes.CDLL, Path]:
    """The library of a program. If ``checked``, its kernels call the checks of ``memory_checks.cpp``."""
    library = place_of((program, checked), ".so", _source(program).parent)
    if not library.exists():
        _build(program, library, checked)
    return ctypes.CDLL(str(library)), library


@cache
def shared_variables(program: Program) -> tuple[tuple[int, int], ...]:
    """Addresses and sizes of the static variables in functions of a checked program: its shared memory."""
    library, path = built(program, checked=True)
    found, base = [], ctypes.cast(library.emulate, ctypes.c_void_p).value
    assert base is not None
    for line in run_tool("nm", "--defined-only", "-S", str(path)).splitlines():
        match line.split():
            case [address, *_, "emulate"]:
                base -= int(address, 16)
            case [address, size, kind, name] if kind in "bBdDvV" and name.startswith("_ZZ"):
                found.append((int(address, 16), int(size, 16)))
    assert all(size % _APART for _, size in found), "no room behind a shared variable: _APART has to be another one"
    return tuple((base + address, size) for address, size in found)


def place_in_source(library: Path, offset: int) -> str:
    """File and line of an address in a checked library; the address where ``addr2line`` is missing."""
    if shutil.which("addr2line") is None:
        return f"{offset:#x}"
    places = run_tool("addr2line", "-i", "-e", str(library), hex(offset)).split()
    return " < ".join(Path(place).name for place in places)
