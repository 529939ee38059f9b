"""What only a device shows: streams, graphs, threads, compiled models and whole training steps on CUDA."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils._triton import has_triton

import mulfree as mf
import mulfree.functional as MF
from tests.cuda.device import needs_device

pytestmark = [pytest.mark.cuda, needs_device]


def _step(device: str) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.GELU(), torch.nn.Flatten(),
        torch.nn.Linear(8 * 64, 32), torch.nn.LayerNorm(32), torch.nn.Linear(32, 10),
    )  # fmt: skip
    x, y = torch.randn(4, 3, 8, 8), torch.tensor([1, 2, 3, 4])
    model = mf.convert(model).to(device)
    optimizer = mf.optim.AdamW(model.parameters(), lr=1e-3)
    with mf.audit() as audit:
        loss = mf.nn.CrossEntropyLoss(label_smoothing=0.1)(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    assert audit.multiplications == 0
    return [loss.detach().cpu(), *(p.detach().cpu() for p in model.parameters())]


def test_a_training_step_has_the_bits_of_the_processor() -> None:
    for here, there in zip(_step("cpu"), _step("cuda"), strict=True):
        assert torch.equal(here.view(torch.int32), there.view(torch.int32))


def test_other_streams() -> None:
    a, b = torch.randn(300, 300, device="cuda"), torch.randn(300, 300, device="cuda")
    expected = MF.matmul(a, b)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        got = MF.matmul(a, b)
    stream.synchronize()
    assert torch.equal(got, expected)


def test_graphs() -> None:
    x, w = torch.randn(64, 128, device="cuda"), torch.randn(10, 128, device="cuda")
    target = torch.arange(64, device="cuda") % 10

    def loss() -> torch.Tensor:
        return MF.cross_entropy(MF.linear(MF.gelu(x), w), target)

    for _ in range(3):
        expected = loss()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = loss()
    x.copy_(torch.randn_like(x))
    graph.replay()
    torch.cuda.synchronize()
    expected = loss()
    assert torch.equal(got, expected)


def test_threads() -> None:
    a, b = torch.randn(100, 100, device="cuda"), torch.randn(100, 100, device="cuda")
    expected = MF.matmul(a, b)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: MF.matmul(a, b), range(32)))
    torch.cuda.synchronize()
    assert all(torch.equal(x, expected) for x in results)


def test_compiled_models() -> None:
    torch.manual_seed(0)
    model = mf.convert(torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))).cuda()
    x = torch.randn(8, 16, device="cuda")
    compiled = torch.compile(copy.deepcopy(model), backend="inductor" if has_triton() else "aot_eager")
    assert torch.equal(compiled(x), model(x))


def test_large_tensors_use_wide_indices() -> None:
    count = (1 << 31) + 5
    if torch.cuda.mem_get_info()[0] < 4 * 4 * count:
        pytest.skip("not enough memory on the device")
    x = torch.full((count,), 1.5, device="cuda")
    assert torch.equal(MF.mul(x, torch.ones((), device="cuda"))[-5:], x[-5:])
    assert torch.equal(MF.exp2(x)[-5:], MF.exp2(x[-5:]))


def test_a_bad_target_is_an_error_of_python() -> None:
    with pytest.raises(IndexError, match="classes"):
        MF.cross_entropy(torch.randn(2, 3, device="cuda"), torch.tensor([0, 7], device="cuda"))


def test_a_step_of_an_optimizer_is_not_captured() -> None:
    w = torch.ones(4, device="cuda", requires_grad=True)
    optimizer = mf.optim.AdamW([w], lr=0.1)
    w.grad = torch.ones_like(w)
    optimizer.step()
    graph = torch.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="captur"), torch.cuda.graph(graph):
        optimizer.step()


def test_threads_that_have_not_used_the_device() -> None:
    """A new thread has no context of its own; memory comes from torch's cache."""
    x = torch.ones(1000, device="cuda")
    expected = MF.mul(x, x)
    with ThreadPoolExecutor(1) as pool:
        assert torch.equal(pool.submit(MF.mul, x, x).result(), expected)
