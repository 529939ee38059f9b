"""Builds the simulated device with the headers of the installed torch; as a program it prints where the library is."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.cuda.build import COMPILER, place_of, run_tool, unfinished

_HERE = Path(__file__).parent
_SOURCES = ("torch_device.cpp", "driver.cpp")
_NAME = "libcuda.so.1"  # what cuda-core asks the system for; it takes a library of that name that is loaded already


def library() -> Path:
    """The library: torch's device and the driver."""
    assert COMPILER is not None
    target = place_of((_NAME, torch.__version__), ".so", _HERE)
    if not target.exists():
        folder = Path(torch.__file__).parent
        include, lib = folder / "include", folder / "lib"
        with unfinished(target) as path:
            run_tool(
                COMPILER, "-std=c++20", "-O1", "-fPIC", "-shared", "-w", f"-I{include}",
                f"-I{include / 'torch/csrc/api/include'}", *(str(_HERE / name) for name in _SOURCES), "-o", str(path),
                f"-L{lib}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{lib},-soname,{_NAME}",
            )  # fmt: skip
    return target


if __name__ == "__main__":
    print(library())
