"""Loads the compiled kernels, settles their instruction set and lets them share torch's threads."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

from mulfree.backends import _cpu as kernels
from mulfree.backends.select import TargetError

__all__ = ["kernels", "threads"]

TARGET_VARIABLE = "MULFREE_CPU"

threads = torch.get_num_threads


def _target_from_environment() -> str | None:
    """The instruction set named by MULFREE_CPU, None where it is unset or empty."""
    return os.environ.get(TARGET_VARIABLE) or None


def _choose_target(name: str | None) -> None:
    if name is None:
        return
    supported = kernels.targets()
    if name not in supported:
        raise TargetError(f"{TARGET_VARIABLE} must be one of {', '.join(supported)} on this machine, got {name!r}")
    kernels.choose(name)


def _openmp_team() -> int | None:
    """Address of the function that starts torch's OpenMP threads, if torch uses GNU OpenMP."""
    bundled = (Path(torch.__file__).parent / "lib").glob("libgomp*.so*")
    for library in (None, *(str(path) for path in bundled)):
        try:
            # RTLD_NOLOAD: only what torch has loaded; a second copy of OpenMP would be a second set of threads.
            handle = ctypes.CDLL(library, mode=os.RTLD_NOW | getattr(os, "RTLD_NOLOAD", 0))
            return ctypes.cast(handle.GOMP_parallel, ctypes.c_void_p).value
        except (OSError, AttributeError):
            continue
    return None


_choose_target(_target_from_environment())
if (_team := _openmp_team()) is not None:
    kernels.set_thread_team(_team)
