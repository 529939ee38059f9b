"""Operations times prices: energies of ordinary and of piecewise affine arithmetic, and the units that do them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass
from typing import Final, Literal, get_args

from mulfree.hardware.count import Operations
from mulfree.hardware.prices import (
    ACCESS_BYTES,
    ACCUMULATION,
    BYTES,
    MEMORIES,
    MULTIPLICATION,
    PIECEWISE,
    Energies,
    Format,
    Memory,
    Price,
)

_TABLE: Final = Energies()


@dataclass(frozen=True, slots=True)
class Energy:
    """Energies in pJ by kind of operation.

    Attributes:
        products: multiplications, or PAM in their place. In ordinary arithmetic divisions, roots, exponentials and
            logarithms are among them, since the audit counts them together.
        other: PAD, powers of two and logarithms to base two.
        additions: float32 additions.
        memory: operands read and results written.
    """

    products: float = 0.0
    other: float = 0.0
    additions: float = 0.0
    memory: float = 0.0

    @property
    def total(self) -> float:
        return float(sum(astuple(self)))

    def times(self, count: float) -> Energy:
        """The energy of ``count`` of these."""
        return Energy(*(count * energy for energy in astuple(self)))


def standard_energy(operations: Operations, format: Format = "float32", memory: Memory = "none") -> Energy:
    """The same operations in ordinary arithmetic.

    A division, root, exponential or logarithm is priced as one multiplication, which is less than it costs. Additions
    are taken to be as many as in piecewise affine arithmetic.

    Raises:
        ValueError: there is no such format or memory.
    """
    _check("format", format, BYTES)
    return Energy(
        products=(operations.work.replaced + operations.multiplications) * MULTIPLICATION[format].energy,
        additions=operations.all_additions * ACCUMULATION.energy,
        memory=_memory(operations, format, memory),
    )


def piecewise_energy(
    operations: Operations, format: Format = "float32", memory: Memory = "none", energies: Energies = _TABLE
) -> Energy:
    """The operations as counted; multiplications that the arithmetic leaves are multiplications of ``format``.

    Raises:
        ValueError: there is no such format or memory.
    """
    _check("format", format, BYTES)
    work = operations.work
    return Energy(
        products=work.products * energies.products + operations.multiplications * MULTIPLICATION[format].energy,
        other=(
            work.quotients * energies.quotients + work.powers * energies.powers + work.logarithms * energies.logarithms
        ),
        additions=operations.all_additions * ACCUMULATION.energy,
        memory=_memory(operations, format, memory),
    )


def _check(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _memory(operations: Operations, format: Format, memory: Memory) -> float:
    _check("memory", memory, MEMORIES)
    return operations.traffic.bytes(BYTES[format]) / ACCESS_BYTES * MEMORIES[memory]


Unit = Literal["multiplier", "multiply-accumulate"]


def standard_unit(unit: Unit, format: Format = "float32") -> Price:
    """A multiplication of ``format``, alone or with a float32 addition; energy of one, area of the circuit."""
    _check("format", format, BYTES)
    return _unit(MULTIPLICATION[format], unit)


def piecewise_unit(unit: Unit) -> Price:
    """A PAM, alone or with a float32 addition; its price is the same in any format."""
    return _unit(PIECEWISE, unit)


def _unit(product: Price, unit: Unit) -> Price:
    _check("unit", unit, get_args(Unit))
    return product if unit == "multiplier" else product + ACCUMULATION
