"""``torch.cuda`` of a torch that is built without CUDA, on the simulated device."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

MULTIPROCESSORS = 2
_PROPERTIES = SimpleNamespace(
    name="simulated", multi_processor_count=MULTIPROCESSORS, major=9, minor=0, total_memory=1 << 30, uuid="none"
)
_handles = itertools.count(1)
_current = threading.local()


class Stream:
    """Work is done at once, whatever its stream."""

    def __init__(self, cuda_stream: int | None = None) -> None:
        self.cuda_stream = next(_handles) if cuda_stream is None else cuda_stream

    def wait_stream(self, other: Stream) -> None: ...

    def synchronize(self) -> None: ...


class Event:
    def __init__(self, **_: object) -> None:
        self.moment = 0.0

    def record(self) -> None:
        self.moment = time.perf_counter()

    def synchronize(self) -> None: ...

    def elapsed_time(self, other: Event) -> float:
        return 1e3 * (other.moment - self.moment)


def _current_stream(device: object = None) -> Stream:
    return getattr(_current, "stream", _DEFAULT)


_DEFAULT = Stream(0)


@contextmanager
def _stream(stream: Stream) -> Iterator[None]:
    before = _current_stream()
    _current.stream = stream
    try:
        yield
    finally:
        _current.stream = before


def _clone(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """For ``copy.deepcopy``: torch makes storages of its own devices only."""
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage).clone().untyped_storage()


def install(library: ctypes.CDLL) -> None:
    """Puts the device in torch's place for CUDA's."""
    library.simulated_capturing.restype = ctypes.c_bool

    class Graph:
        def replay(self) -> None:
            library.simulated_replay()

    @contextmanager
    def graph(graph: Graph) -> Iterator[None]:
        library.simulated_capture_begin()
        try:
            with _stream(Stream()):
                yield
        finally:
            library.simulated_capture_end()

    names: dict[str, Any] = {
        "_lazy_init": lambda: None,
        "_exchange_device": lambda device: 0,
        "_maybe_exchange_device": lambda device: 0,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_capability": lambda device=None: (_PROPERTIES.major, _PROPERTIES.minor),
        "get_device_properties": lambda device=None: _PROPERTIES,
        "get_device_name": lambda device=None: _PROPERTIES.name,
        "mem_get_info": lambda device=None: (0, _PROPERTIES.total_memory),
        "synchronize": lambda device=None: None,
        "is_current_stream_capturing": library.simulated_capturing,
        "current_stream": _current_stream,
        "stream": _stream,
        "Stream": Stream,
        "Event": Event,
        "CUDAGraph": Graph,
        "graph": graph,
        "_sleep": lambda clocks: None,
        "get_rng_state": lambda device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, device=None: torch.set_rng_state(state),
    }
    for name, value in names.items():
        setattr(torch.cuda, name, value)
    torch._C._cuda_getDevice = lambda: 0
    torch.UntypedStorage.clone = _clone
