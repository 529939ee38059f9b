"""Operations of namespaces other than torch's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch.distributed import ReduceOp

from mulfree import audit


@pytest.fixture
def group() -> Iterator[None]:
    """One process that talks to itself."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_collectives_that_add_or_move_are_free() -> None:
    with audit() as found:
        dist.all_reduce(torch.ones(3))
        dist.all_reduce(torch.ones(3), op=ReduceOp.MAX)
        dist.broadcast(torch.ones(3), src=0)
        dist.all_gather([torch.ones(3)], torch.ones(3))
        dist.barrier()
    assert found.findings == (), str(found)


@pytest.mark.usefixtures("group")
def test_collectives_that_multiply_are_found() -> None:
    with audit() as found:
        dist.all_reduce(torch.ones(3), op=ReduceOp.PRODUCT)
    (finding,) = found.findings
    assert finding.op == "c10d::allreduce_.default"
    assert finding.known
    assert found.multiplications == 3
