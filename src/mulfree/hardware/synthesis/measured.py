"""Measured areas and energies in place of Table 4's and Appendix B's, for ``mulfree cost``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, get_args

from mulfree.hardware.estimate import Unit
from mulfree.hardware.prices import FORMATS, MULTIPLICATION, Energies, Format
from mulfree.hardware.synthesis.flows import GAUSSIAN
from mulfree.hardware.synthesis.points import GLITCHING, QUIET, Results, minimum
from mulfree.train.records import read_json

_NAMES: Final[dict[Unit, tuple[str, str]]] = {
    "multiplier": ("ieee_multiplier", "pam"),
    "multiply-accumulate": ("ieee_multiply_add", "pam_multiply_add"),
}
"""Unit -> those of ordinary and of piecewise affine arithmetic."""
_OPERATIONS: Final[Mapping[str, str]] = {"products": "pam", "quotients": "pad", "powers": "exp2", "logarithms": "log2"}


@dataclass(frozen=True)
class Measured:
    """Areas and energies of a file that ``mulfree hardware cost`` wrote.

    Attributes:
        results: all that is in it.
        target: which of its targets is used: the first library of cells that has all; else generic gates.
    """

    results: Results
    target: str

    @classmethod
    def read(cls, path: Path) -> Measured:
        """Raises OutputError or ValueError for a file that cannot be read, is none of these, or lacks a unit."""
        results = Results.from_data(read_json(path))
        libraries = [target for target in results.targets if target.startswith("liberty ")]
        targets = libraries + ["gates"] * ("gates" in results.targets)
        reasons = []
        for target in targets:
            found = cls(results, target)
            try:
                _ = found.to_data()
            except ValueError as error:
                reasons.append(str(error))
            else:
                return found
        raise ValueError("; ".join(reasons) or "has neither the cells of a library nor gates")

    @property
    def measure(self) -> str:
        return "transistors" if self.target == "gates" else "area in the library's unit"

    def areas(self, unit: Unit, format: Format) -> tuple[float, float]:
        """Smallest areas in ordinary and in piecewise affine arithmetic.

        Raises:
            ValueError: one of them was not measured.
        """
        standard, piecewise = (self._smallest(name, format) for name in _NAMES[unit])
        return standard, piecewise

    def energies(self, format: Format) -> Energies:
        """Table 4's energy of a multiplication times the measured ratio to the multiplier.

        The ratio is that for Gaussian operands, without or with glitches, whichever is larger.

        Raises:
            ValueError: one of them was not measured.
        """
        price = MULTIPLICATION[format].energy
        return Energies(**{kind: price * self._ratio(unit, format) for kind, unit in _OPERATIONS.items()})

    def to_data(self) -> dict[str, Any]:
        """What was used, of names and numbers only."""
        kinds = ("standard", "piecewise_affine")
        areas = {
            unit: {format: dict(zip(kinds, self.areas(unit, format), strict=True)) for format in FORMATS}
            for unit in get_args(Unit)
        }
        energies = {format: asdict(self.energies(format)) for format in FORMATS}
        return {"target": self.target, "measure": self.measure, "areas": areas, "energy_pJ": energies}

    def _smallest(self, name: str, format: str) -> float:
        point = minimum(self.results.of(name, format, self.target), "size")
        if point is None:
            raise ValueError(f"has no {name} in {format} for {self.target}")
        return point.size

    def _ratio(self, unit: str, format: str) -> float:
        ratios = [self.results.ratio(unit, format, self.target, kind + GAUSSIAN) for kind in (QUIET, GLITCHING)]
        found = [ratio for ratio in ratios if ratio is not None]
        if len(found) < len(ratios):
            raise ValueError(f"has no energies of {unit} and ieee_multiplier in {format} for {self.target}")
        return max(found)
