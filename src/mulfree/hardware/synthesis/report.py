"""Results as tables, for the screen and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mulfree.hardware.switching import Generic, Library
from mulfree.hardware.synthesis.measure import SWEEP
from mulfree.hardware.synthesis.points import (
    BLOCKS,
    COUNTERPARTS,
    GLITCHING,
    QUIET,
    Point,
    Results,
    minimum,
    pareto,
    published,
)

LABELS: Final[Mapping[str, str]] = {
    "pam": "PAM",
    "pam_compensated": "PAM, compensated",
    "ieee_multiplier": "IEEE multiplier",
    "pam_multiply_add": "PAM + float32 add",
    "ieee_multiply_add": "IEEE multiply + float32 add",
    "ieee_adder": "IEEE adder",
    "pad": "PAD",
}
"""Where a unit's name is not its label."""
_MEASURES: Final = {"transistors": "transistors", "area": "area"}
_TIMES: Final = {"depth": "gates deep", "delay": "delay, ps"}


@dataclass(frozen=True)
class Sheet:
    """A table: the first two columns are words."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        rule = ["---" if place < 2 else "---:" for place in range(len(self.columns))]
        lines = ("| " + " | ".join(row) + " |" for row in (self.columns, rule, *self.rows))
        return f"### {self.title}\n\n" + "\n".join(lines) + "\n"


def label(unit: str) -> str:
    return LABELS.get(unit, unit)


def percent(ratio: float | None) -> str:
    return "" if ratio is None else f"{100 * ratio:.1f} %" if ratio < 0.1 else f"{100 * ratio:.0f} %"


def brief(reason: str) -> str:
    """The first line of a failure, and the last, where tools tell more."""
    lines = reason.splitlines()
    return lines[0] if len(lines) < 2 else f"{lines[0]} {lines[-1]}"


def _pairs(results: Results) -> list[tuple[str, str]]:
    """Formats and units, but for the widths of a sweep that are formats of nobody."""
    swept = {f"E8M{width}" for width in SWEEP}
    pairs = dict.fromkeys((point.format, point.unit) for point in results.points)
    named = [pair for pair in pairs if pair[0] not in swept]
    return named or list(pairs)


def summary(results: Results) -> Sheet:
    """Size by that of the IEEE unit, beside the paper."""
    rows = []
    for format, unit in _pairs(results):
        if unit in COUNTERPARTS:
            ratios = [percent(results.ratio(unit, format, target, "size")) for target in results.targets]
            rows.append((format, label(unit), percent(published(unit, format)), *ratios))
    title = "Size by that of the IEEE unit in the same flow, the smallest of each"
    return Sheet(title, ("format", "unit", "paper", *results.targets), rows)


def mapped(results: Results, target: str) -> Sheet:
    """Gates or a library: the smallest and the fastest point of each unit."""
    rows, size, time = [], "", ""
    for format, unit in _pairs(results):
        points = results.of(unit, format, target)
        small, fast = minimum(points, "size"), minimum(points, "time")
        if small is None or fast is None:
            continue
        size = next(name for name in _MEASURES if name in small.numbers)
        time = next(name for name in _TIMES if name in small.numbers)
        extremes = (f"{number:,.0f}" for number in (small.size, small.time, fast.size, fast.time))
        ratios = (
            results.ratio(unit, format, target, "size"),
            _fastest(results, unit, format, target),
            results.ratio(unit, format, target, "time"),
            published(unit, format),
        )
        rows.append((format, label(unit), *extremes, *map(percent, ratios)))
    measure, duration = _MEASURES.get(size, ""), _TIMES.get(time, "")
    extremes_names = (f"smallest: {measure}", duration, f"fastest: {measure}", duration)
    names = ("format", "unit", *extremes_names, "size by IEEE's", "size, fastest", "time, fastest", "paper, size")
    return Sheet(target, names, rows)


def _fastest(results: Results, unit: str, format: str, target: str) -> float | None:
    """Size by size of the fastest points."""
    ours = minimum(results.of(unit, format, target), "time")
    theirs = minimum(results.of(COUNTERPARTS.get(unit, ""), format, target), "time")
    return ours.size / theirs.size if ours and theirs else None


def energies(results: Results) -> list[Sheet]:
    """Without and with glitches: a table for each gates or library, with columns for each stream of operands."""
    found = []
    for target in results.targets:
        names = dict.fromkeys(
            name.removeprefix(QUIET) for point in results.points if point.target == target
            for name in point.numbers if name.startswith(QUIET)
        )  # fmt: skip
        rows = []
        for format, unit in _pairs(results):
            cells = [cell for name in names for cell in _energy(results, unit, format, target, name)]
            if any(cells):
                rows.append((format, label(unit), percent(published(unit, format, "energy")), *cells))
        if rows:
            columns = [column for name in names for column in (f"{name}: {_unit(target)}", "by IEEE's")]
            found.append(Sheet(f"Energy of an operation, {target}", ("format", "unit", "paper", *columns), rows))
    return found


def _unit(target: str) -> str:
    return Generic.unit if target == "gates" else Library.unit


def _energy(results: Results, unit: str, format: str, target: str, stream: str) -> tuple[str, str]:
    """The least energies and ratios, without glitches and with them."""
    names = QUIET + stream, GLITCHING + stream
    points = [minimum(results.of(unit, format, target), name) for name in names]
    numbers = [point.numbers[name] for point, name in zip(points, names, strict=True) if point]
    ratios = [results.ratio(unit, format, target, name) for name in names]
    return " to ".join(f"{number:,.3g}" if number < 100 else f"{number:,.0f}" for number in numbers), " to ".join(
        filter(None, map(percent, ratios))
    )


def programmed(results: Results) -> Sheet | None:
    """FPGAs; None without."""
    rows = []
    for target in results.targets:
        for format, unit in _pairs(results):
            for point in results.of(unit, format, target):
                if "luts" in point.numbers:
                    rows.append((target, f"{format} {label(unit)}", *_used(point), *_saved(results, point)))
    columns = ("device", "unit", "LUTs", "blocks", "registers", "MHz", "LUTs by IEEE's", "with blocks", "MHz by IEEE's")
    return Sheet("FPGAs, between registers", columns, rows) if rows else None


def _used(point: Point) -> Iterator[str]:
    for name in ("luts", "blocks", "registers"):
        yield f"{point.numbers[name]:,.0f}"
    yield f"{point.numbers['fmax']:.0f}" if "fmax" in point.numbers else ""


def _saved(results: Results, point: Point) -> Iterator[str]:
    for target in (point.target, point.target + BLOCKS):
        yield "" if BLOCKS in point.target else percent(results.ratio(point.unit, point.format, target, "luts"))
    yield percent(results.ratio(point.unit, point.format, point.target, "fmax"))


def frontier(results: Results) -> Sheet:
    """Every Pareto point of gates and libraries."""
    rows = [
        (target, f"{format} {label(unit)}", point.recipe, f"{point.size:,.0f}", f"{point.time:,.0f}")
        for target in results.targets
        for format, unit in _pairs(results)
        for point in pareto(results.of(unit, format, target))
        if "luts" not in point.numbers
    ]
    return Sheet("Pareto points", ("target", "unit", "recipe", "size", "depth or delay"), rows)


def sheets(results: Results) -> list[Sheet]:
    """Those for the screen."""
    found = [summary(results)]
    found += [mapped(results, target) for target in results.targets if target == "gates" or "liberty" in target]
    found += energies(results)
    fpgas = programmed(results)
    return found + ([fpgas] if fpgas else [])


def markdown(results: Results) -> str:
    """Everything as a page."""
    about = [f"- {name}: {text}" for name, text in results.about.items()]
    versions = ", ".join(
        f"{name} {version}".replace("Yosys Yosys", "Yosys") for name, version in results.versions.items()
    )
    failures = [f"- {name}: {brief(reason)}" for name, reason in results.failures.items()]
    tables = "\n".join(sheet.markdown() for sheet in [*sheets(results), frontier(results)])
    failed = ("\n### Failed\n\n" + "\n".join(failures) + "\n") if failures else ""
    return "\n".join(["# Measured cost of the units", "", *about, f"- versions: {versions}", "", tables]) + failed
