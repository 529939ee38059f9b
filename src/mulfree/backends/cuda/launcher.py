"""Kernels on torch's current streams, through the CUDA driver."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

import torch

from mulfree.backends.cuda.compiler import machine_code
from mulfree.backends.cuda.kernels import Launch, Program


@cache
def _multiprocessors(device: int) -> int:
    count: int = torch.cuda.get_device_properties(device).multi_processor_count
    return count


class CUDALauncher:
    """Compiles a program at its first launch. Safe to use from several threads.

    Args:
        device: index of the device; None for the one that is current at each launch.
    """

    def __init__(self, device: int | None = None) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._modules: dict[tuple[Program, str], Any] = {}
        self._kernels: dict[tuple[Program, str, str], Any] = {}

    def multiprocessors(self) -> int:
        index = torch.cuda.current_device() if self._device is None else self._device
        return _multiprocessors(index)

    def launch(self, launch: Launch) -> None:
        """
        Raises:
            RuntimeError: the driver refuses the launch.
        """
        with torch.cuda.device(self._device):
            self._launch(launch)

    def _launch(self, launch: Launch) -> None:
        from cuda.bindings import driver

        kernel = self._kernel(launch.program, launch.kernel)
        parameter = launch.parameter()
        address = (ctypes.c_void_p * 1)(ctypes.cast(ctypes.c_char_p(parameter), ctypes.c_void_p))
        stream = torch.cuda.current_stream().cuda_stream
        (status,) = driver.cuLaunchKernel(
            driver.CUfunction(int(kernel)), *launch.blocks, launch.threads, 1, 1, 0, stream,
            ctypes.addressof(address), 0,
        )  # fmt: skip
        if status != driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"CUDA refuses to launch {launch.kernel} of {launch.program}: {status}")

    def _kernel(self, program: Program, name: str) -> Any:
        major, minor = torch.cuda.get_device_capability()
        arch = f"sm_{major}{minor}"
        key = (program, name, arch)
        found = self._kernels.get(key)
        if found is not None:
            return found
        with self._lock:
            module = self._modules.get((program, arch))
            if module is None:
                module = self._modules[program, arch] = self._load(program, arch)
            kernel = self._kernels[key] = module.get_kernel(name).handle
            return kernel

    @staticmethod
    def _load(program: Program, arch: str) -> Any:
        from cuda.bindings import driver
        from cuda.core import ObjectCode

        status, version = driver.cuDriverGetVersion()
        if status != driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"the CUDA driver does not tell its version: {status}")
        return ObjectCode.from_cubin(machine_code(program, arch, str(version)), name=str(program))
