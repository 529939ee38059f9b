"""What was measured: points of numbers, and what follows from several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from mulfree.hardware.estimate import Unit, piecewise_unit, standard_unit
from mulfree.hardware.prices import Format as PriceFormat

COUNTERPARTS: Final[Mapping[str, str]] = {
    "pam": "ieee_multiplier",
    "pam_compensated": "ieee_multiplier",
    "pad": "ieee_multiplier",
    "exp2": "ieee_multiplier",
    "log2": "ieee_multiplier",
    "pam_multiply_add": "ieee_multiply_add",
}
"""Unit -> the unit of ordinary arithmetic that it is compared with."""

BLOCKS: Final = " + blocks"
"""End of the name of an FPGA as a target where multiplier blocks may be used."""
QUIET: Final = "energy, "
GLITCHING: Final = "energy with glitches, "
"""Beginnings of names of energies of an operation; the operands follow: pJ in a library, transistors switched."""
SIZES: Final = ("transistors", "area", "luts")
"""The number of a point that says how large it is: of gates, of a library's cells, of an FPGA."""
TIMES: Final = ("depth", "delay")


@dataclass(frozen=True)
class Point:
    """One unit of one format, synthesized in one way.

    Attributes:
        unit, format: names as of ``hardware.rtl``.
        target: "gates", "liberty NAME", or an FPGA family with "+ blocks" where multiplier blocks may be used.
        recipe: name of the way.
        numbers: transistors, depth; area, delay (ps); energies (``QUIET``, ``GLITCHING``); luts,
            blocks, registers, cells; fmax (MHz, the median of several placements, between fmax_low and fmax_high).
        inputs: digest of what went in: circuit, recipe, library, operands.
        tools: and their versions. Where both are equal, the point need not be made again.
    """

    unit: str
    format: str
    target: str
    recipe: str
    numbers: Mapping[str, float]
    inputs: str = ""
    tools: str = ""

    @property
    def name(self) -> str:
        """What tells points apart."""
        return ", ".join((self.unit, self.format, self.target, self.recipe))

    @property
    def size(self) -> float:
        return next(self.numbers[name] for name in SIZES if name in self.numbers)

    @property
    def time(self) -> float:
        """Depth or delay; 0 where there is none."""
        return next((self.numbers[name] for name in TIMES if name in self.numbers), 0.0)


@dataclass
class Results:
    """All points, and what failed.

    Attributes:
        points: measured.
        failures: what -> why.
        versions: of the tools.
        about: whatever else says where the numbers are from.
    """

    points: list[Point] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str | None] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)

    def of(self, unit: str, format: str, target: str) -> list[Point]:
        return [point for point in self.points if (point.unit, point.format, point.target) == (unit, format, target)]

    @property
    def targets(self) -> list[str]:
        return list(dict.fromkeys(point.target for point in self.points))

    def ratio(self, unit: str, format: str, target: str, name: str) -> float | None:
        """Least of ``name`` ("size", "time" or a number) of the unit by the least of its counterpart; None without."""
        alike = target.removesuffix(BLOCKS)  # what has no multiplication is not synthesized for blocks again
        ours = minimum(self.of(unit, format, target) or self.of(unit, format, alike), name)
        theirs = minimum(self.of(COUNTERPARTS.get(unit, ""), format, target), name)
        return value(ours, name) / value(theirs, name) if ours and theirs and value(theirs, name) else None

    def to_data(self) -> dict[str, Any]:
        points = [asdict(point) for point in self.points]
        return {"about": self.about, "versions": self.versions, "points": points, "failures": self.failures}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Results:
        """Raises ValueError for what ``to_data`` did not make."""
        try:
            points = [Point(**point) for point in data["points"]]
            if sizeless := [point.name for point in points if not set(SIZES) & set(point.numbers)]:
                raise ValueError(f"no results of mulfree hardware cost: {sizeless[0]} has no size")
            return cls(points, dict(data["failures"]), dict(data["versions"]), dict(data["about"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no results of mulfree hardware cost: {error}") from error


def value(point: Point, name: str) -> float:
    if name == "size":
        return point.size
    return point.time if name == "time" else point.numbers.get(name, 0.0)


def minimum(points: Iterable[Point], name: str) -> Point | None:
    """The point with the least ``name`` ("size", "time" or a number); None where none has it."""
    having = (point for point in points if name in ("size", "time") or name in point.numbers)
    return min(having, key=lambda point: value(point, name), default=None)


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in both size and time, the smallest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.size, point.time)):
        if not kept or point.time < kept[-1].time:
            kept.append(point)
    return kept


def published(unit: str, format: str, what: Literal["area", "energy"] = "area") -> float | None:
    """The paper's ratio of areas or energies (Table 4, Appendix B); None for what it does not price.

    It has float32 and float16; bfloat16 is taken as float16. PAD, exp2 and log2 are priced as PAM by ``mulfree cost``,
    not by the paper.
    """
    kinds: dict[str, Unit] = {"pam": "multiplier", "pam_multiply_add": "multiply-accumulate"}
    formats: dict[str, PriceFormat] = {"float32": "float32", "float16": "float16", "bfloat16": "float16"}
    if unit not in kinds or format not in formats:
        return None
    ours, theirs = piecewise_unit(kinds[unit]), standard_unit(kinds[unit], formats[format])
    return ours.area / theirs.area if what == "area" else ours.energy / theirs.energy
