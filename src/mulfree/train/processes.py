"""The processes of a run: one, or those that ``torchrun`` has started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mulfree.distributed import sum_hook
from mulfree.train.errors import ConfigError


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """True for the one that writes files and shows progress."""
        return self.rank == 0

    def total(self, number: float) -> float:
        """Sum over all processes, in float64; exact for whole numbers below 2**53."""
        if self.size == 1:
            return number
        value = torch.tensor(number, dtype=torch.float64)
        dist.all_reduce(value)
        return float(value)

    def any(self, flag: bool) -> bool:
        """True if the flag is set in any process."""
        return self.total(float(flag)) > 0

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def shared(self, model: nn.Module) -> nn.Module:
        """``model`` for training: gradients of all processes are summed, and never scaled."""
        if self.size == 1:
            return model
        shared = DistributedDataParallel(model)
        shared.register_comm_hook(None, sum_hook)
        return shared

    def without_exchange(self, model: nn.Module) -> AbstractContextManager[Any]:
        """A block whose backward passes keep their gradients to this process; those of the next one exchange all."""
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """The processes that the environment describes (``RANK``, ``WORLD_SIZE``, as ``torchrun`` sets them).

    Raises:
        ConfigError: the environment is incomplete.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or dist.is_initialized():
        yield Processes(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Processes()
        return
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"the {size} processes of WORLD_SIZE cannot meet: {error}") from error
    try:
        yield Processes(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
