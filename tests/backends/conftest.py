"""The backends under test: the reference and, where built, every native target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mulfree.backends.contract import Backend
from mulfree.backends.select import named
from tests.cuda.checks import CheckedBackend, skip_without_checks
from tests.cuda.device import OnDevice, needs_device
from tests.cuda.emulator import Schedule, emulated_backend, skip_without_compiler

try:
    from mulfree.backends import _cpu
except ImportError as error:
    _cpu = None
    _missing = f"the native kernels are not built: {error}"


def _native() -> list[Any]:
    if _cpu is None:
        return [pytest.param(None, id="cpu", marks=[pytest.mark.native, pytest.mark.skip(reason=_missing)])]
    return [pytest.param(target, id=f"cpu-{target}", marks=pytest.mark.native) for target in _cpu.targets()]


def _choose(target: str) -> Iterator[Backend]:
    before = _cpu.target()
    _cpu.choose(target)
    try:
        yield named("cpu")
    finally:
        _cpu.choose(before)


def _cuda() -> list[Any]:
    """The CUDA kernels in the emulation, there also with checks of memory, and on the device where there is one."""
    checked = [pytest.mark.native, *skip_without_checks()]
    return [
        pytest.param("emulated", id="cuda-emulated", marks=[pytest.mark.native, *skip_without_compiler()]),
        pytest.param("checked", id="cuda-checked", marks=[pytest.mark.slow, *checked]),
        pytest.param("device", id="cuda-device", marks=[pytest.mark.cuda, needs_device]),
    ]


def _yield_backend(name: str) -> Iterator[Any]:
    if name == "emulated":
        yield emulated_backend()
    elif name == "checked":
        yield CheckedBackend(Schedule("random", seed=4, switching=10))
    elif name == "device":
        yield OnDevice(named("cuda"))
    else:
        yield from _choose(name)


@pytest.fixture(params=[pytest.param("reference", id="reference"), *_native(), *_cuda()])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each backend in turn: the native one once for each instruction set, the CUDA kernels emulated and on a device."""
    if request.param == "reference":
        yield named("reference")
    else:
        yield from _yield_backend(request.param)


@pytest.fixture(params=_native())
def native(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The native backend, once for each instruction set."""
    yield from _choose(request.param)


@pytest.fixture(params=[*_native(), *_cuda()])
def compiled(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every backend with kernels of its own; compared with the reference."""
    yield from _yield_backend(request.param)
