"""Gradients that travel between processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

import mulfree.distributed
from mulfree import audit
from mulfree.audit import Work


@pytest.fixture
def group() -> Iterator[None]:
    """One process that talks to itself."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


# torch reads the annotations of hooks and does not know those that are kept as text: none for the bucket.
def _sum_hook(_state, bucket):  # type: ignore[no-untyped-def]
    future: Any = dist.all_reduce(bucket.buffer(), async_op=True)
    return future.get_future().then(lambda done: done.value()[0])


def _halving_hook(_state, bucket):  # type: ignore[no-untyped-def]
    result: Future[Tensor] = Future()
    result.set_result(bucket.buffer() * 0.5)  # the hidden product
    return result


@pytest.mark.usefixtures("group")
def test_a_hook_that_multiplies_is_found() -> None:
    findings = {}
    for hook in (_sum_hook, _halving_hook):
        model = DistributedDataParallel(nn.Linear(2, 1))
        model.register_comm_hook(None, hook)
        with audit(model) as found:
            model(torch.ones(1, 2)).sum().backward()
        findings[hook] = {(finding.op, finding.source.rpartition(":")[0][-19:]) for finding in found.findings}
    (extra,) = findings[_halving_hook] - findings[_sum_hook]
    assert extra == ("aten::mul.Tensor", "test_distributed.py")


@pytest.mark.usefixtures("group")
def test_torch_s_own_averaging_is_found() -> None:
    model = DistributedDataParallel(nn.Linear(2, 1))
    with audit(model) as found:
        loss = model(torch.ones(1, 2)).sum()
        loss.backward()
    assert any(finding.op.startswith(("aten::mul", "aten::div")) for finding in found.findings), str(found)


@pytest.mark.usefixtures("group")
def test_this_library_s_hook_is_communication() -> None:
    model = DistributedDataParallel(nn.Linear(2, 1))
    model.register_comm_hook(None, mulfree.distributed.average_hook)
    with audit(model) as found:
        model(torch.ones(1, 2)).sum().backward()
    assert {finding.phase for finding in found.findings} == {"forward", "backward"}  # of the layer
    (entry,) = found.report.work
    assert (entry.module, entry.phase) == ("module", "communication")
    assert entry.work == Work(quotients=3, replaced=3)


@pytest.mark.parametrize("method", ["then", "add_done_callback"])
def test_callbacks_in_threads_of_the_communication_are_followed(method: str) -> None:
    """Such a thread ran before the audit; torch starts it without Python."""
    future: Future[Tensor] = Future()
    begun, done = threading.Event(), threading.Event()

    def communicate() -> None:
        begun.wait(10)
        future.set_result(torch.ones(3))
        done.set()

    thread = threading.Thread(target=communicate)
    thread.start()
    with audit() as found:
        getattr(future, method)(lambda finished: finished.value() * 0.5)
        begun.set()
        assert done.wait(10)
        thread.join()
    (finding,) = found.findings
    assert (finding.op, finding.phase, finding.multiplications) == ("aten::mul.Tensor", "communication", 3)
    assert "test_distributed.py" in finding.source
    assert "then" in vars(torch._C.Future)


class _Waiting(nn.Module):
    """Gives a callback to a future that another thread completes later."""

    def __init__(self, future: Future[Tensor]) -> None:
        super().__init__()
        self.future = future

    def forward(self) -> None:
        self.future.then(lambda finished: finished.value() * 0.5)


def test_a_callback_belongs_to_the_module_that_gave_it() -> None:
    future: Future[Tensor] = Future()
    model = nn.Sequential()
    model.add_module("waiting", _Waiting(future))
    with audit(model) as found:
        model.waiting()
        thread = threading.Thread(target=lambda: future.set_result(torch.ones(3)))
        thread.start()
        thread.join()
    (finding,) = found.findings
    assert (finding.module, finding.phase) == ("waiting", "communication")
