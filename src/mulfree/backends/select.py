"""Which backend serves a device, and the context manager that overrides the choice."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from torch import Tensor

from mulfree.backends.contract import Backend

_override: ContextVar[Backend | None] = ContextVar("mulfree_backend", default=None)

NAMES = ("reference", "cpu")


class BackendWarning(UserWarning):
    """The native kernels are missing and the slower reference backend runs in their place."""


@cache
def named(name: str) -> Backend:
    """The backend called ``name``: "reference" or "cpu".

    Raises:
        ValueError: unknown name.
        ImportError: "cpu" where the native kernels were not built.
    """
    if name == "reference":
        from mulfree.backends.reference import ReferenceBackend

        return ReferenceBackend()
    if name == "cpu":
        from mulfree.backends.cpu import CPUBackend

        return CPUBackend()
    raise ValueError(f"backend must be one of {', '.join(NAMES)}, got {name!r}")


@cache
def _default(device_type: str) -> Backend:
    if device_type != "cpu":
        return named("reference")
    try:
        return named("cpu")
    except ImportError as error:
        warnings.warn(
            f"mulfree's native CPU kernels are not available ({error}); the reference backend runs instead: "
            "same results, but much slower. Install a C++ compiler and reinstall mulfree.",
            BackendWarning,
            stacklevel=2,
        )
        return named("reference")


def for_tensor(x: Tensor) -> Backend:
    """The backend that computes on the device of ``x``: the override if one is set, else the best there is."""
    return _override.get() or _default("cpu" if x.is_cpu else x.device.type)


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
