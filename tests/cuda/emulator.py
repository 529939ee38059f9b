"""A launcher that runs the CUDA kernels on the processor: the same sources, compiled as plain C++."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from mulfree.backends.cuda.backend import CUDABackend
from mulfree.backends.cuda.kernels import Launch, Program, source_root

HERE = Path(__file__).parent
COMPILER = shutil.which(os.environ.get("CXX", "c++"))


@cache
def _sources() -> bytes:
    root = source_root()
    paths = [path for folder in (root / "cuda", root / "law", HERE) for path in sorted(folder.rglob("*.[ch]*"))]
    return b"".join(path.read_bytes() for path in paths)


def _built(program: Program) -> Path:
    """Where the library of a program lies, by the content of all sources: processes of the tests share it."""
    key = hashlib.sha256(_sources() + repr(program).encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"mulfree-emulated-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid()
    return folder / f"{key}.so"


@cache
def _library(program: Program) -> ctypes.CDLL:
    library = _built(program)
    if not library.exists():
        _compile(program, library)
    return ctypes.CDLL(str(library))


def _compile(program: Program, library: Path) -> None:
    assert COMPILER is not None
    root = source_root()
    unfinished = library.with_suffix(f".{os.getpid()}")
    macros = [f"-D{name}={value}" for name, value in (("MF_TARGET", "emulated_cuda"), *program.defines)]
    folders = [f"-I{folder}" for folder in (HERE, root / "cuda", root / "law")]
    command = [
        COMPILER, "-std=c++20", "-O1", "-fwrapv", "-ffp-contract=off", "-shared", "-fPIC", "-w", *macros, *folders,
        "-x", "c++", str(root / "cuda" / program.source), str(HERE / "emulator.cpp"), "-o", str(unfinished),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the compiler refuses {program}:\n{done.stderr[:4000]}")
    unfinished.replace(library)


class EmulatedLauncher:
    """Runs each block after the other; a device of 2 multiprocessors."""

    def multiprocessors(self) -> int:
        return 2

    def launch(self, launch: Launch) -> None:
        library = _library(launch.program)
        assert all(size > 0 for size in launch.blocks), launch
        blocks = (ctypes.c_uint32 * 3)(*launch.blocks)
        library.emulate(
            ctypes.cast(library[launch.kernel], ctypes.c_void_p),
            ctypes.c_char_p(launch.parameter()),
            blocks,
            ctypes.c_uint32(launch.threads),
        )


@cache
def emulated_backend() -> CUDABackend:
    """The CUDA backend on tensors of the processor."""
    return CUDABackend(EmulatedLauncher())


def skip_without_compiler() -> list[pytest.MarkDecorator]:
    """Marks of a test that needs the emulation."""
    return [] if COMPILER else [pytest.mark.skip(reason="the emulation of CUDA needs a C++ compiler")]
