"""``mulfree doctor``: what is installed, what runs, and what would make it faster."""

from __future__ import annotations

import platform
import shutil

import torch
import typer
from rich.table import Table

from mulfree.audit.disassembly import objdump
from mulfree.audit.sass import disassembler
from mulfree.backends import select
from mulfree.backends.cuda.compiler import cache_folder, compiler_version
from mulfree.backends.cuda.kernels import source_root
from mulfree.cli.errors import FAILED
from mulfree.cli.screen import screen
from mulfree.train.machine import version


def _cuda_kernels() -> tuple[str, str]:
    """How the CUDA kernels run, and why they do not."""
    try:
        compiler = compiler_version()
    except ImportError as error:
        return "reference (no compiler)", str(error)
    try:
        source_root()
    except ImportError as error:
        return "reference (no sources)", str(error)
    return f"compiled by NVRTC {compiler}, kept in {cache_folder()}", ""


def doctor() -> None:
    """Show versions, the backend and its instruction set, threads, and hints; exit code 1 if no backend runs."""
    console = screen()
    table = Table(show_header=False)
    for name in ("mulfree", "torch", "numpy", "scikit-learn", "matplotlib"):
        table.add_row(name, version(name) or "not installed")
    table.add_row(
        "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}", end_section=True
    )
    hints, runs = [], True
    try:
        select.named("cpu")
    except ImportError as error:
        table.add_row("CPU backend", f"reference (native kernels missing: {error})")
        compiler = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
        hints.append(
            f"A C++ compiler is here ({compiler}), the native kernels are much faster: {select.NO_BUILD}."
            if compiler
            else f"Install a C++ compiler, the native kernels are much faster: {select.NO_BUILD}."
        )
    except select.TargetError as error:
        runs = False
        table.add_row("CPU backend", "none")
        hints.append(f"{error}: until then nothing runs on CPU tensors.")
    else:
        from mulfree.backends import _cpu

        table.add_row("CPU backend", f"native kernels, {_cpu.target()} of {', '.join(_cpu.targets())}")
    table.add_row("threads", str(torch.get_num_threads()))
    table.add_row("CUDA", torch.cuda.get_device_name() if torch.cuda.is_available() else "none")
    kernels, missing = _cuda_kernels()
    table.add_row("CUDA kernels", kernels)
    if missing and torch.cuda.is_available():
        hints.append(f"{missing}: until then the slower reference backend runs on CUDA tensors.")
    table.add_row("disassembler", objdump() or "none: mulfree audit --kernels needs one")
    table.add_row("CUDA disassembler", disassembler() or "none: mulfree audit --cuda needs one")
    console.print(table)
    for hint in hints:
        console.print(hint, highlight=False, markup=False, soft_wrap=True)
    if not runs:
        raise typer.Exit(FAILED)
