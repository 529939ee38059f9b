"""What multiprocessors hold and issue, by architecture (CUDA C++ programming guide, compute capabilities)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from benchmarks.cuda_kernels.cubin import RESERVED_SHARED, Resources
from benchmarks.cuda_kernels.loops import Loop

LANES = 128
"""Results of a multiprocessor a clock at most: four schedulers, an instruction of 32 lanes each."""

WARP = 32
_PARTITIONS = 4
_REGISTERS = 65536
_REGISTER_UNIT = 256  # of a warp
_SHARED_UNIT = 128

_ON_INTEGER_UNITS = frozenset(
    {"IADD", "IADD3", "VIADD", "VIADDMNMX", "VIMNMX", "IMNMX", "LOP3", "LEA", "SHF", "ISETP", "SEL", "PRMT"}
)


@dataclass(frozen=True)
class Architecture:
    """Of a multiprocessor: kibibytes of shared memory, most warps and blocks; float additions a clock; IMADs, and other
    integer additions, comparisons and logical operations, a clock (None: not known here)."""

    name: str
    shared: int
    warps: int
    blocks: int
    float_lanes: int | None
    integer_lanes: int | None


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture("sm_80", 164, 64, 32, 64, 64),
        Architecture("sm_86", 100, 48, 16, 128, 64),
        Architecture("sm_89", 100, 48, 24, 128, 64),
        Architecture("sm_90", 228, 64, 32, 128, 64),
        Architecture("sm_100", 228, 64, 32, None, None),
    )
}


@dataclass(frozen=True)
class Device:
    """A clock in GHz."""

    multiprocessors: int
    clock: float


H200 = Device(132, 1.98)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def resident_blocks(kernel: Resources, architecture: Architecture) -> int:
    """Blocks of a kernel that a multiprocessor holds at a time."""
    warps = -(-kernel.threads // WARP)
    registers = _up(max(kernel.registers, 1) * WARP, _REGISTER_UNIT)
    by_registers = _REGISTERS // _PARTITIONS // registers * _PARTITIONS // warps
    by_shared = architecture.shared * 1024 // (_up(kernel.shared, _SHARED_UNIT) + RESERVED_SHARED)
    return min(by_registers, by_shared, architecture.warps // warps, architecture.blocks)


def issue_rate(per_product: float, device: Device) -> float:
    """Products a second if every scheduler issued an instruction at every clock."""
    return LANES / per_product * device.multiprocessors * device.clock * 1e9


def unit_rate(loop: Loop, architecture: Architecture, device: Device) -> float | None:
    """Products a second that also the units for float additions, for IMAD and for other integers allow."""
    if architecture.float_lanes is None or architecture.integer_lanes is None:
        return None

    def most(lanes: int, wanted: Callable[[str], bool]) -> float:
        number = sum(count for kind, count in loop.kinds.items() if wanted(kind))
        return lanes * loop.products / number if number else inf

    a_clock = min(
        LANES / loop.per_product,
        most(architecture.float_lanes, lambda kind: kind == "FADD"),
        most(architecture.integer_lanes, lambda kind: kind.startswith("IMAD")),
        most(architecture.integer_lanes, lambda kind: kind in _ON_INTEGER_UNITS),
    )
    return a_clock * device.multiprocessors * device.clock * 1e9
