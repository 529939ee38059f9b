"""Averages over processes without multiplication: sums by ``all_reduce``, one PAD by the number of processes.

PyTorch's own reductions multiply gradients by 1 / world size, or divide them; here the division is PAD, which is exact
for powers of two. The order of a sum over more than two processes is that of the communication. Every process divides
the same sum, so parameters stay the same, bit for bit, on all of them.
"""

# No postponed annotations: DistributedDataParallel reads those of a hook.
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import distributed as dist
from torch.futures import Future

import mulfree.functional as MF

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule


def sum_hook(group: dist.ProcessGroup | None, bucket: dist.GradBucket) -> Future[Tensor]:  # type: ignore[name-defined]
    """Communication hook of ``DistributedDataParallel``: gradients become their sum over the processes.

    For losses whose division by the size of the whole batch is in the gradient that enters them. With two processes
    the sum is the same, bit for bit, as if one process had computed both parts one after the other; with more its order
    is that of the communication.

    Args:
        group: the processes; None for all. What ``register_comm_hook`` got as its state.
        bucket: gradients.
    """
    return _summed(group, bucket).then(_first)


def _summed(group: dist.ProcessGroup | None, bucket: dist.GradBucket) -> Future[list[Tensor]]:  # type: ignore[name-defined]
    future: Future[list[Tensor]] = dist.all_reduce(bucket.buffer(), group=group, async_op=True).get_future()
    return future


def _first(done: Future[list[Tensor]]) -> Tensor:
    return done.value()[0]


def average_hook(group: dist.ProcessGroup | None, bucket: dist.GradBucket) -> Future[Tensor]:  # type: ignore[name-defined]
    """Communication hook of ``DistributedDataParallel``: gradients become ``div(sum over processes, processes)``.

    Example:
        >>> model = torch.nn.parallel.DistributedDataParallel(mulfree.convert(model))
        >>> model.register_comm_hook(None, mulfree.distributed.average_hook)

    Args:
        group: the processes; None for all. What ``register_comm_hook`` got as its state.
        bucket: gradients in float32, float16 or bfloat16. Half precision is summed in half precision.

    Raises:
        TypeError: another dtype; raised in the backward pass.
    """
    processes = dist.get_world_size(group)

    def divided(done: Future[list[Tensor]]) -> Tensor:
        return _divide(_first(done), processes)

    return _summed(group, bucket).then(divided)


def average_fully_sharded(module: "FSDPModule") -> None:
    """Let a module of ``torch.distributed.fsdp.fully_shard`` and those in it average gradients without multiplication.

    Each reduce-scatter is made to sum, without a factor before or after it, and the shard of the sum is divided by the
    number of processes of the device mesh. Call it once after the last ``fully_shard``. Parameters shall be float32;
    the optimizers of ``mulfree.optim`` step on their shards.

    Raises:
        TypeError: ``module`` is not the result of ``fully_shard``.
        ValueError: the parameters are sharded over several meshes of different size, or there are none.
    """
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    if not isinstance(module, FSDPModule):
        raise TypeError(f"average_fully_sharded(): module must come from fully_shard(), got {type(module).__name__}")
    sizes = {p.device_mesh.size() for p in module.parameters() if isinstance(p, DTensor)}  # type: ignore[attr-defined]
    if len(sizes) != 1:
        raise ValueError(f"average_fully_sharded(): parameters must be sharded over one mesh, got sizes {sizes}")
    (processes,) = sizes

    def divide(total: Tensor) -> None:
        _divide(total, processes)

    for part in module.modules():  # type: ignore[attr-defined]
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
            part.set_all_reduce_hook(divide)


@torch.no_grad()
def _divide(total: Tensor, processes: int) -> Tensor:
    """In place."""
    return total.copy_(MF.div(total, float(processes)))
