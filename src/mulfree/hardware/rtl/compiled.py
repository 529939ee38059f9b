"""Combinational units as native code: Yosys writes C++ (CXXRTL), the machine's compiler builds it.

Tens of millions of results a second, so all pairs of 16-bit operands are a matter of minutes.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mulfree.hardware.rtl import yosys
from mulfree.hardware.rtl.circuits import Elementwise
from mulfree.hardware.rtl.output import plain_rtlil

_SECONDS = 300.0
_LOOP = """
#include "unit.cc"
extern "C" void run(long count, {parameters}, {word} *y) {{
  cxxrtl_design::p_unit unit;
  for (long i = 0; i < count; i++) {{
    {assignments}
    unit.step();
    y[i] = unit.p_y.get<{word}>();
  }}
}}
"""


def missing() -> str | None:
    """What is not there to compile units with, or None."""
    if not yosys.available():
        return yosys.MISSING
    if _compiler() is None:
        return "no C++ compiler: neither $CXX nor c++, g++, clang++ is there"
    return None if _headers() else "no headers of CXXRTL beside Yosys"


class Compiled:
    """A combinational unit whose words have at most 32 bits, compiled.

    Raises:
        ImportError: Yosys, its headers or a compiler is not there (``missing``).
        YosysError, subprocess.SubprocessError: One of them failed or took too long.
    """

    def __init__(self, core: Elementwise) -> None:
        if reason := missing():
            raise ImportError(reason)
        wide = max(*core.operands.values(), core.result)
        if wide > 32:
            raise ValueError(f"words have at most 32 bits here, got {wide}")
        self._word = np.uint16 if wide <= 16 else np.uint32
        self._operands = list(core.operands)
        with tempfile.TemporaryDirectory() as place:
            library = self._build(plain_rtlil(core, "unit"), Path(place))
            self._run = ctypes.CDLL(str(library)).run
        self._run.restype = None

    def _build(self, text: str, folder: Path) -> Path:
        (folder / "unit.il").write_text(text)
        yosys.run(
            ["read_rtlil unit.il", "proc", "flatten", "opt -full", "splitnets -driver", "write_cxxrtl -g0 unit.cc"],
            _SECONDS,
            folder,
        )
        word = "uint16_t" if self._word is np.uint16 else "uint32_t"
        loop = _LOOP.format(
            word=word,
            parameters=", ".join(f"const {word} *{name}" for name in self._operands),
            assignments=" ".join(f"unit.p_{name}.set<{word}>({name}[i]);" for name in self._operands),
        )
        (folder / "loop.cc").write_text(loop)
        flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-I", str(_headers())]
        command = [str(_compiler()), *flags, "loop.cc", "-o", "unit.so"]
        subprocess.run(command, cwd=folder, check=True, timeout=_SECONDS, capture_output=True)
        return folder / "unit.so"

    def __call__(self, *operands: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
        """Words in, words out: arrays of one length, uint16 where all words fit, else uint32."""
        if len(operands) != len(self._operands):
            raise ValueError(f"expected operands {', '.join(self._operands)}, got {len(operands)} arrays")
        words = [np.ascontiguousarray(operand, self._word) for operand in operands]
        if len({array.shape for array in words}) != 1:
            raise ValueError(f"expected operands of one shape, got {', '.join(str(array.shape) for array in words)}")
        result = np.empty(words[0].shape, self._word)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*words, result)]
        self._run(ctypes.c_long(result.size), *pointers)
        return result


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), "c++", "g++", "clang++"))), None)


def _headers() -> Path | None:
    places = []
    if (found := find_spec("pyosys")) and found.origin:
        places.append(Path(found.origin).parent / "share")
    if program := shutil.which("yosys"):
        places.append(Path(program).parent.parent / "share" / "yosys")
    runtime = (place / "include" / "backends" / "cxxrtl" / "runtime" for place in places)
    return next((path for path in runtime if path.is_dir()), None)
