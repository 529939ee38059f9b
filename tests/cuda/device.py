"""The CUDA backend on a real device, for tests that keep their tensors on the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

HAS_DEVICE = torch.cuda.is_available()
needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device")


class OnDevice:
    """A backend whose methods take tensors of the processor: arguments go to the device with their strides, results
    come back, and what a method changed in place is copied back."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.name = backend.name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._backend, name)
        return self._moved(value) if callable(value) else value

    @staticmethod
    def _moved(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            sent = [(x, _to_device(x)) for x in args]
            found = method(*(there for _, there in sent), **{k: _to_device(v) for k, v in options.items()})
            for here, there in sent:
                if isinstance(here, Tensor) and method.__name__.endswith("_"):
                    here.copy_(there)
            return _back(found)

        return call


_ALIGNED = 4  # elements of 16 bytes, which kernels read at once


def _to_device(x: Any) -> Any:
    """With the strides of ``x``, broadcast ones included, and its distance from an aligned address."""
    if not isinstance(x, Tensor):
        return x
    if x.numel() == 0:
        return x.cuda()
    extent = 1 + sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    start = x.storage_offset() % _ALIGNED
    memory = x.as_strided((start + extent,), (1,), x.storage_offset() - start).cuda()
    return memory.as_strided(x.shape, x.stride(), start)


def _back(found: Any) -> Any:
    if isinstance(found, tuple):
        return tuple(_back(x) for x in found)
    return found.cpu() if isinstance(found, Tensor) else found
