"""A piece of work for a backend's kernels, and the check of its bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.harness import require_same_bits
from mulfree.backends.contract import Backend

Tensors = tuple[Tensor, ...]
Ours = Callable[[], Tensors]
FLOAT_BYTES = 4


def _whole(tensors: Tensors) -> Tensors:
    return tensors


@dataclass(frozen=True)
class Work:
    """One call of a kernel. ``ours`` and ``theirs`` prepare a call from operands on the device.

    ``part`` takes from the operands, and ``pick`` from the results, what is compared with the law: everything, or a
    part that the processor computes within seconds. ``products`` of ``instructions`` each, or else ``bytes`` that must
    be read and written, say how fast a device could be.
    """

    group: str
    name: str
    data: str
    operands: Tensors
    ours: Callable[[Backend, Tensors], Ours]
    theirs: Callable[[Tensors], Callable[[], object]]
    rival: str = "torch"
    products: int = 0
    instructions: int = 2
    bytes: int = 0
    part: Callable[[Tensors], Tensors] = _whole
    pick: Callable[[Tensors], Tensors] = _whole


def size_of(tensors: Sequence[Tensor]) -> int:
    """Bytes."""
    return sum(x.numel() * x.element_size() for x in tensors)


def moved(tensors: Tensors, device: torch.device) -> Tensors:
    """On a device, with the same strides."""
    return tuple(x.to(device) for x in tensors)


def verify(work: Work, backend: Backend, device: torch.device, law: Backend) -> None:
    """The result of ``backend`` on ``device`` against that of ``law`` on the processor, bit by bit.

    Raises:
        WrongResultError: they differ.
    """
    found = work.pick(work.ours(backend, moved(work.operands, device))())
    expected = work.ours(law, work.part(work.operands))()
    for index, (actual, correct) in enumerate(zip(found, expected, strict=True)):
        require_same_bits(f"{work.name}, {work.data}, result {index}", actual.cpu(), correct)


def rows_of(count: int, most: int) -> Tensor:
    """Numbers of at most ``most`` rows, spread over all, both ends included."""
    return torch.linspace(0, count - 1, min(count, most), dtype=torch.float64).long()
