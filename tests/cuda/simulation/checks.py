"""What the launcher tells the driver; run by ``test_simulation.py`` on the simulated device."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import mulfree.functional as MF
from mulfree.backends.cuda.elementwise import program
from mulfree.backends.cuda.kernels import Launch
from mulfree.backends.cuda.launcher import CUDALauncher
from mulfree.ops import attention
from tests.cuda.simulation.build import library

DRIVER = ctypes.CDLL(str(library()))
DRIVER.simulated_launches.restype = DRIVER.simulated_last_stream.restype = ctypes.c_uint64


def _mul() -> torch.Tensor:
    x = torch.ones(10, device="cuda")
    return MF.mul(x, x)


def test_operations_are_launched() -> None:
    before = DRIVER.simulated_launches()
    assert torch.equal(_mul().cpu(), torch.ones(10))
    assert DRIVER.simulated_launches() == before + 1


def test_the_current_stream_is_used() -> None:
    _mul()
    assert DRIVER.simulated_last_stream() == 0
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        _mul()
    assert DRIVER.simulated_last_stream() == stream.cuda_stream != 0
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_mul).result()
    assert DRIVER.simulated_last_stream() == 0


def test_a_launch_that_is_refused_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"launching flat of elementwise.cu.*CUDA_ERROR_INVALID_VALUE"):
        CUDALauncher().launch(Launch(program("mul"), "flat", (0, 1, 1), 256, bytes(64)))


def test_a_kernel_that_is_missing_is_an_error() -> None:
    with pytest.raises(Exception, match="symbol was not found"):
        CUDALauncher().launch(Launch(program("mul"), "nothing", (1, 1, 1), 256, bytes(64)))


def test_attention_takes_large_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a number of launches."""
    q = torch.randn(2, 3, 5, 4, device="cuda")

    monkeypatch.setattr(attention, "BLOCK", 1)
    before = DRIVER.simulated_launches()
    whole = MF.scaled_dot_product_attention(q, q, q)
    few = DRIVER.simulated_launches() - before
    monkeypatch.setattr(attention, "DEVICE_BLOCK", 1)
    parts = MF.scaled_dot_product_attention(q, q, q)
    assert DRIVER.simulated_launches() - before - few == 6 * few
    assert torch.equal(whole, parts)


def test_operands_on_two_devices_are_refused() -> None:
    with pytest.raises(RuntimeError, match="must be on"):
        MF.mul(torch.ones(2, device="cuda"), torch.ones(2))
