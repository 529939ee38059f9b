"""Energies in units that read well."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (
    ("pJ", 1.0),
    ("nJ", 1e3),
    ("µJ", 1e6),
    ("mJ", 1e9),
    ("J", 1e12),
    ("kJ", 1e15),
    ("kWh", 3.6e18),
)
"""Names and sizes in pJ, in order."""


def scale_of(energy: float) -> tuple[str, float]:
    """Name and size in pJ of the largest unit that an energy in pJ has at least one of; pJ for less."""
    return max((unit for unit in _UNITS if unit[1] <= energy), key=lambda unit: unit[1], default=_UNITS[0])


def joules(energy: float) -> str:
    """An energy in pJ with three digits or more, such as ``1.03 mJ``."""
    name, size = scale_of(energy)
    value = energy / size
    digits = max(0, 3 - len(f"{int(value)}"))
    return f"{value:,.{digits}f} {name}"
