"""Comparing tensors by their bits, and watching which operations run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mulfree.numerics import scalar


def words(x: Tensor) -> list[int]:
    """The numbers of ``x`` as binary32 words, row by row."""
    return [word & 0xFFFFFFFF for word in x.detach().float().contiguous().view(torch.int32).flatten().tolist()]


def floats(row: list[int]) -> Tensor:
    return torch.tensor([scalar.value(word) for word in row], dtype=torch.float32)


def same_bits(a: Tensor, b: Tensor) -> bool:
    return a.dtype is b.dtype and a.shape == b.shape and words(a) == words(b)


class Log(TorchDispatchMode):
    """Notes the name of every operation that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))
