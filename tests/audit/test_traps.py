"""Multiplications in places where they are easily missed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

from mulfree import audit


def _leaf(*shape: int) -> Tensor:
    return torch.full(shape or (3, 4), 0.5).requires_grad_()


def _step(make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> None:
    x = _leaf()
    x.grad = torch.ones_like(x)
    make([x]).step()


def _doubled(x: Tensor) -> Tensor:
    return x * 2


TRAPS: dict[str, tuple[Callable[[], object], str]] = {
    "addcmul_": (lambda: torch.ones(3).addcmul_(torch.ones(3), torch.ones(3)), "aten::addcmul_"),
    "normalize": (lambda: F.normalize(torch.ones(2, 3)), "aten::linalg_vector_norm"),
    "std": (lambda: torch.std(torch.ones(3)), "aten::std"),
    "lerp_": (lambda: torch.ones(3).lerp_(torch.zeros(3), 0.5), "aten::lerp_"),
    "einsum": (lambda: torch.einsum("ij,jk->ik", torch.ones(2, 3), torch.ones(3, 2)), "aten::bmm"),
    "interpolation": (
        lambda: F.interpolate(torch.ones(1, 1, 4, 4), scale_factor=2, mode="bilinear"),
        "aten::upsample_bilinear2d",
    ),
    "nearest interpolation": (lambda: F.interpolate(torch.ones(1, 1, 4), size=6), "aten::upsample_nearest1d"),
    "fft": (lambda: torch.fft.rfft(torch.ones(8)), "aten::_fft_r2c"),
    "fused optimizer": (lambda: _step(lambda p: torch.optim.AdamW(p, fused=True)), "aten::_fused_adamw_"),
    "foreach optimizer": (lambda: _step(lambda p: torch.optim.SGD(p, 0.1, foreach=True)), "aten::_foreach_add_"),
    "foreach products": (lambda: torch._foreach_mul([torch.ones(3)], 2.0), "aten::_foreach_mul"),
    "checkpoint": (lambda: checkpoint(lambda x: x * 2, _leaf(), use_reentrant=False), "aten::mul"),
    "data of a parameter": (lambda: _leaf().data.mul_(0.5), "aten::mul_"),
    "gradient hook": (lambda: _hooked().sum().backward(), "aten::mul"),
}


def _hooked() -> Tensor:
    x = _leaf()
    x.register_hook(lambda grad: grad * 0.5)
    return x + 1


@pytest.mark.parametrize("name", TRAPS)
def test_finds(name: str) -> None:
    run, op = TRAPS[name]
    with audit() as found:
        run()
    assert op in {finding.op.partition(".")[0] for finding in found.findings}, str(found)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_followed() -> None:
    scripted = torch.jit.script(_doubled)
    with audit() as found:
        scripted(torch.ones(3))
    assert found.multiplications == 3


def test_lists_of_tensors_count_all_their_elements() -> None:
    with audit() as found:
        torch._foreach_mul([torch.ones(3), torch.ones(5)], 2.0)
    assert found.multiplications == 8


def test_threads_of_the_block_are_followed() -> None:
    with audit() as found:
        thread = threading.Thread(target=lambda: torch.ones(3) * 2)
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda i: torch.ones(4) * i, range(10)))
        in_threads = found.multiplications
        torch.ones(5) * 2
    assert in_threads == 3 + 40
    assert found.multiplications == 48
    assert all("test_traps.py" in finding.source for finding in found.findings)


def test_backward_in_a_thread_is_placed() -> None:
    model = nn.Sequential(nn.Linear(2, 2))

    def run() -> None:
        model(torch.ones(1, 2)).sum().backward()

    with audit(model) as found:
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {(finding.module, finding.phase) for finding in found.findings} == {("0", "forward"), ("0", "backward")}


def test_a_thread_that_outlives_the_block_is_left_alone() -> None:
    begun, ended = threading.Event(), threading.Event()

    def run() -> None:
        torch.ones(3) + 1
        begun.set()
        ended.wait(10)
        torch.ones(3) * 2

    with audit() as found:
        thread = threading.Thread(target=run)
        thread.start()
        begun.wait(10)
    ended.set()
    thread.join()
    assert threading.getprofile() is None
    assert found.findings == ()


def test_values_that_leave_torch_are_noted() -> None:
    x = torch.ones(3)
    with audit() as found:
        torch.from_numpy(np.asarray(x) * 2)
        x.sum().item()
        x.tolist()
        torch.arange(3).tolist()  # integers: no floating-point arithmetic can follow unseen
    texts = sorted(note.text.partition(":")[0] for note in found.report.notes)
    assert texts == ["Tensor.item", "Tensor.numpy", "Tensor.tolist"]
    assert found.findings == ()
    assert all("test_traps.py" in note.source for note in found.report.notes)
    assert "numpy" not in vars(Tensor)


class Numbers(Dataset[Tensor]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        return torch.ones(2) * index


def test_worker_processes_are_noted() -> None:
    with audit() as found:
        for batch in DataLoader(Numbers(), batch_size=2, num_workers=1):
            assert batch.shape == (2, 2)
    assert any("process" in note.text for note in found.report.notes), str(found)
