"""The CUDA backend in the emulation, with each access to memory checked."""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mulfree.backends.cuda.backend import CUDABackend
from mulfree.backends.cuda.kernels import Launch
from tests.cuda.build import HAS_CHECKS, built, place_in_source, shared_variables
from tests.cuda.emulator import GLOBAL, SHARED, EmulatedLauncher, Range, Schedule, emulate


class FaultError(AssertionError):
    """What a kernel must not do."""


def extent(x: Tensor) -> tuple[int, int]:
    """Address and bytes from the first to the last element."""
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.data_ptr(), (last + 1) * x.element_size() if x.numel() else 0


def check(launch: Launch, schedule: Schedule, tensors: Iterable[Tensor]) -> None:
    """Runs a kernel that may use those of ``tensors`` that its parameter points into.

    Raises:
        FaultError: a race, an access out of bounds, or a barrier that only some threads reach.
    """
    fields = [field for (field,) in struct.iter_unpack("<Q", launch.parameter())]
    extents = {extent(x) for x in tensors}
    used = [(start, size) for start, size in extents if any(start <= field < start + size for field in fields)]
    ranges = [Range(start, size, GLOBAL) for start, size in used]
    ranges += [Range(start, size, SHARED) for start, size in shared_variables(launch.program)]
    faults = emulate(launch, schedule, ranges)
    if faults:
        _, library = built(launch.program, checked=True)
        readable = re.sub(r"\+0x([0-9a-f]+)", lambda found: place_in_source(library, int(found[1], 16)), faults)
        raise FaultError(f"{launch.kernel} of {launch.program}, {schedule}:\n{readable}")


_UNWRITTEN = tuple(getattr(torch.ops.aten, name) for name in ("empty", "empty_like", "empty_strided", "new_empty"))
_GARBAGE = 0xA5


class _Tensors(TorchDispatchMode):
    """Keeps all tensors that torch makes or gets. Memory that nothing has been written to holds garbage."""

    def __init__(self, *known: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Tensor] = []
        self._take(known)

    def _take(self, values: Any) -> None:
        self.found += [x for x in tree_leaves(values) if isinstance(x, Tensor) and x.device.type == "cpu"]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in _UNWRITTEN and result.device.type == "cpu":
            address, size = extent(result)
            ctypes.memset(address, _GARBAGE, size)
        self._take((args, kwargs, result))
        return result


class CheckedLauncher(EmulatedLauncher):
    """Kernels may use the tensors of the call of a backend that launches them."""

    tensors: _Tensors

    def __init__(self, schedule: Schedule, multiprocessors: int, folder: Path | None) -> None:
        super().__init__(schedule)
        self._multiprocessors = multiprocessors
        self._folder = folder

    def multiprocessors(self) -> int:
        return self._multiprocessors

    def launch(self, launch: Launch) -> None:
        if self._folder is not None:
            source = str(self._folder / launch.program.source)
            launch = replace(launch, program=replace(launch.program, source=source))
        check(launch, self.schedule, self.tensors.found)


class CheckedBackend:
    """The methods of the CUDA backend, checked, on a device of so many multiprocessors; with the kernels of another
    ``folder``."""

    def __init__(self, schedule: Schedule, multiprocessors: int = 2, folder: Path | None = None) -> None:
        self._launcher = CheckedLauncher(schedule, multiprocessors, folder)
        self._backend = CUDABackend(self._launcher)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._backend, name)

        def call(*args: Any, **options: Any) -> Any:
            with _Tensors(args, options) as self._launcher.tensors:
                return method(*args, **options)

        return call if callable(method) else method


def skip_without_checks() -> list[pytest.MarkDecorator]:
    """Marks of a test that needs the checks."""
    reason = "the checked emulation of CUDA needs a C++ compiler and binutils"
    return [] if HAS_CHECKS else [pytest.mark.skip(reason=reason)]
