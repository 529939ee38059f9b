"""Measured areas in place of Table 4's, for the units that ``mulfree cost`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from mulfree.hardware.estimate import Unit
from mulfree.hardware.prices import FORMATS, Format
from mulfree.hardware.synthesis.points import Results, minimum
from mulfree.train.records import read_json

_NAMES: Final[dict[Unit, tuple[str, str]]] = {
    "multiplier": ("ieee_multiplier", "pam"),
    "multiply-accumulate": ("ieee_multiply_add", "pam_multiply_add"),
}
"""Unit -> those of ordinary and of piecewise affine arithmetic."""


@dataclass(frozen=True)
class Areas:
    """Areas of a file that ``mulfree hardware cost`` wrote.

    Attributes:
        results: all that is in it.
        target: which of its targets is used: the first library of cells; generic gates if there is none.
    """

    results: Results
    target: str

    @classmethod
    def read(cls, path: Path) -> Areas:
        """Raises OutputError or ValueError for a file that cannot be read or is none of these."""
        results = Results.from_data(read_json(path))
        libraries = [target for target in results.targets if target.startswith("liberty ")]
        if not libraries and "gates" not in results.targets:
            raise ValueError("has neither the cells of a library nor gates")
        return cls(results, libraries[0] if libraries else "gates")

    @property
    def measure(self) -> str:
        return "transistors" if self.target == "gates" else "area in the library's unit"

    def of(self, unit: Unit, format: Format) -> tuple[float, float]:
        """Smallest areas in ordinary and in piecewise affine arithmetic.

        Raises:
            ValueError: one of them was not measured.
        """
        standard, piecewise = (self._smallest(name, format) for name in _NAMES[unit])
        return standard, piecewise

    def to_data(self) -> dict[str, Any]:
        """What was used, of names and numbers only."""
        kinds = ("standard", "piecewise_affine")
        areas = {
            unit: {format: dict(zip(kinds, self.of(unit, format), strict=True)) for format in FORMATS}
            for unit in get_args(Unit)
        }
        return {"target": self.target, "measure": self.measure, "areas": areas}

    def _smallest(self, name: str, format: str) -> float:
        point = minimum(self.results.of(name, format, self.target), "size")
        if point is None:
            raise ValueError(f"has no {name} in {format} for {self.target}")
        return point.size
