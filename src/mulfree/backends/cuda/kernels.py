"""What a kernel is to its callers: a source, compile-time settings, a name, and a list of integers to call it with."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

SOURCE_FOLDERS = ("cuda", "law")


@dataclass(frozen=True)
class Program:
    """A file of ``csrc/cuda`` and the macros that it is compiled with."""

    source: str
    defines: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.source, *(f"{name}={value}" for name, value in self.defines)])


def packed(fields: Sequence[int]) -> bytes:
    """64-bit fields as the device reads them."""
    return struct.pack(f"<{len(fields)}q", *fields)


@dataclass(frozen=True)
class Launch:
    """A kernel of a program on a grid of blocks. ``arguments`` are the 64-bit fields of its parameter, in order, or its
    bytes."""

    program: Program
    kernel: str
    blocks: tuple[int, int, int]
    threads: int
    arguments: Sequence[int] | bytes

    def parameter(self) -> bytes:
        """The bytes of the kernel's parameter."""
        return self.arguments if isinstance(self.arguments, bytes) else packed(self.arguments)


class Launcher(Protocol):
    """Where kernels run: a device, or its emulation in the tests."""

    def multiprocessors(self) -> int:
        """How many the device has."""
        ...

    def launch(self, launch: Launch) -> None:
        """Enqueues a kernel on the current stream of the device."""
        ...


@cache
def source_root() -> Path:
    """The folder with the kernels' sources: installed beside the package, or that of a checkout.

    Raises:
        ImportError: neither is there.
    """
    package = Path(__file__).parents[2]
    candidates = (package / "csrc", package.parents[1] / "csrc")
    for folder in candidates:
        if all((folder / name).is_dir() for name in SOURCE_FOLDERS):
            return folder
    raise ImportError(
        f"the sources of mulfree's CUDA kernels are missing: reinstall mulfree (looked in {candidates[0]} and "
        f"{candidates[1]})"
    )


def empty(like: Tensor, *shape: int) -> Tensor:
    """Room for float32 numbers on the device of ``like``."""
    return torch.empty(shape, dtype=torch.float32, device=like.device)


def divider(divisor: int) -> tuple[int, int, int]:
    """The fields of ``Divider`` in ``csrc/cuda/device.hpp``, for quotients of numbers below 2**62."""
    shift = max(divisor - 1, 0).bit_length()
    return -(-(1 << (62 + shift)) // divisor), shift, divisor
