"""Which backend serves a device, and the context manager that overrides the choice."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor

from mulfree.backends.contract import Backend

_override: ContextVar[Backend | None] = ContextVar("mulfree_backend", default=None)

NAMES = ("reference", "cpu", "cuda")


class BackendWarning(UserWarning):
    """Compiled kernels are missing and the slower reference backend runs in their place."""


class TargetError(ValueError):
    """The environment variable MULFREE_CPU names an instruction set that this machine has not."""


NO_BUILD = "MULFREE_REQUIRE_NATIVE=1 pip install . in a clone of mulfree builds them, or says why it cannot"
"""What helps where the native kernels are missing."""


@cache
def named(name: str) -> Backend:
    """The backend called ``name``: "reference", "cpu" or "cuda" (on any device: see ``for_tensor``).

    Raises:
        ValueError: unknown name.
        ImportError: "cpu" where the native kernels were not built; "cuda" without the extra ``mulfree[cuda]``, without
            the kernels' sources, or where the driver or the device is too old for it.
        TargetError: "cpu" where MULFREE_CPU names no instruction set of this machine.
    """
    if name == "reference":
        from mulfree.backends.reference import ReferenceBackend

        return ReferenceBackend()
    if name == "cpu":
        from mulfree.backends.cpu import CPUBackend

        return CPUBackend()
    if name == "cuda":
        return _on_cuda(None)
    raise ValueError(f"backend must be one of {', '.join(NAMES)}, got {name!r}")


@cache
def _on_cuda(device: int | None) -> Backend:
    """The CUDA kernels on one device; None: on the current one."""
    from mulfree.backends.cuda.backend import CUDABackend
    from mulfree.backends.cuda.compiler import compiler_version
    from mulfree.backends.cuda.kernels import source_root
    from mulfree.backends.cuda.launcher import CUDALauncher, check_device

    compiler_version()
    source_root()
    if torch.cuda.is_available():
        check_device(device)
    return CUDABackend(CUDALauncher(device))


@cache
def _default(device_type: str, index: int | None) -> Backend:
    if device_type == "cuda":
        try:
            return _on_cuda(index)
        except ImportError as error:
            warnings.warn(
                f"{error}; the reference backend runs on CUDA instead: same results, but much slower.",
                BackendWarning,
                stacklevel=2,
            )
    if device_type != "cpu":
        return named("reference")
    try:
        return named("cpu")
    except ImportError as error:
        warnings.warn(
            f"mulfree's native CPU kernels are not available ({error}); the reference backend runs instead: "
            f"same results, but much slower. {NO_BUILD}.",
            BackendWarning,
            stacklevel=2,
        )
        return named("reference")


def for_tensor(x: Tensor) -> Backend:
    """The backend that computes on the device of ``x``: the override if one is set, else the best there is.

    Raises:
        RuntimeError: the override cannot compute on the device of ``x``.
    """
    chosen = _override.get()
    if chosen is None:
        return _default("cpu", None) if x.is_cpu else _default(x.device.type, x.device.index)
    if chosen.name == "reference":
        return chosen
    if x.device.type != chosen.name:
        raise RuntimeError(f"the backend {chosen.name!r} computes on {chosen.name} tensors, got one on {x.device}")
    return _on_cuda(x.device.index) if chosen.name == "cuda" else chosen


@contextmanager
def backend(name: str) -> Iterator[Backend]:
    """Compute everything inside the ``with`` block on the backend called ``name``.

    Raises:
        ValueError: unknown name.
        ImportError: the backend is not built.
    """
    chosen = named(name)
    token = _override.set(chosen)
    try:
        yield chosen
    finally:
        _override.reset(token)
