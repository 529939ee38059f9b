"""Kernels on torch's current streams, through the CUDA driver."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any

import torch

from mulfree.backends.cuda.compiler import compiler_version, known_architectures, machine_code
from mulfree.backends.cuda.kernels import Launch, Program


@cache
def _multiprocessors(device: int) -> int:
    count: int = torch.cuda.get_device_properties(device).multi_processor_count
    return count


@cache
def _architecture(device: int) -> str:
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}"


def _succeeded(driver: Any, status: Any, *what: object) -> None:
    if status != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"CUDA failed at {' '.join(map(str, what))}: {status}")


def _driver_version(driver: Any) -> int:
    status, version = driver.cuDriverGetVersion()
    _succeeded(driver, status, "asking for the driver's version")
    return int(version)


@cache
def _primary_context(device: int) -> Any:
    """The context that torch uses on a device; it is never released."""
    from cuda.bindings import driver

    status, handle = driver.cuDeviceGet(device)
    _succeeded(driver, status, f"finding device {device}")
    status, context = driver.cuDevicePrimaryCtxRetain(handle)
    _succeeded(driver, status, f"entering device {device}")
    return context


def _enter(driver: Any, device: int) -> None:
    """Makes the device's context current in this thread: torch does so only once it has to, and a thread that it has
    just started has none."""
    context = _primary_context(device)
    status, current = driver.cuCtxGetCurrent()
    _succeeded(driver, status, "asking for the context")
    if int(current) != int(context):
        (status,) = driver.cuCtxSetCurrent(context)
        _succeeded(driver, status, f"entering device {device}")


def check_device(device: int | None) -> None:
    """
    Raises:
        ImportError: the driver, or the device, is too old for the compiler that is installed.
    """
    from cuda.bindings import driver

    version = _driver_version(driver)
    needed = compiler_version()
    if version // 1000 < int(needed.partition(".")[0]):
        raise ImportError(
            f"the CUDA driver supports CUDA {version // 1000}, the compiler is of CUDA {needed}: "
            f"install cuda-core[cu{version // 1000}]"
        )
    major, minor = torch.cuda.get_device_capability(device)
    if 10 * major + minor < min(known_architectures()):
        raise ImportError(f"NVRTC {needed} does not know devices of compute capability {major}.{minor}")


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

        device = torch.cuda.current_device()
        _enter(driver, device)
        kernel = self._kernel(launch.program, launch.kernel, _architecture(device))
        parameter = ctypes.c_char_p(launch.parameter())  # a cell with the address of the bytes
        stream = torch.cuda.current_stream().cuda_stream
        (status,) = driver.cuLaunchKernel(
            kernel, *launch.blocks, launch.threads, 1, 1, 0, stream, ctypes.addressof(parameter), 0
        )
        _succeeded(driver, status, "launching", launch.kernel, "of", launch.program)

    def _kernel(self, program: Program, name: str, arch: str) -> Any:
        """What ``cuLaunchKernel`` takes; the driver takes a kernel of a library for it."""
        from cuda.bindings import driver

        key = (program, name, arch)
        found = self._kernels.get(key)
        if found is not None:
            return found
        with self._lock:
            module = self._modules.get((program, arch))
            if module is None:
                module = self._modules[program, arch] = self._load(program, arch)
            kernel = self._kernels[key] = driver.CUfunction(int(module.get_kernel(name).handle))
            return kernel

    @staticmethod
    def _load(program: Program, arch: str) -> Any:
        from cuda.bindings import driver
        from cuda.core import ObjectCode

        version = _driver_version(driver)
        return ObjectCode.from_cubin(machine_code(program, arch, str(version)), name=str(program))
