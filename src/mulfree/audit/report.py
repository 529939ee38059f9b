"""What an audit found, as data, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from mulfree.audit.work import Work

Phase = Literal["forward", "backward", "clipping", "optimizer", "schedule", "communication"]


@dataclass(frozen=True)
class Finding:
    """Calls of one operation from one place.

    Attributes:
        op: name in PyTorch's dispatcher with overload, such as ``aten::mul.Tensor``.
        known: False for an operation the audit's tables do not hold.
        calls: number of calls.
        multiplications: scalar multiplications of all calls (``audit.counting``); an unknown operation is
            taken to multiply.
        module: path of the innermost module that was running, or whose forward pass is differentiated; the
            module of the parameter whose gradient is accumulated; the optimizer's class in its step; else empty.
        phase: forward, backward, clipping, optimizer, schedule or communication. What runs outside of the others,
            the loss for one, is forward.
        source: ``file:line`` of the calling code outside PyTorch and this library.
        reason: what is built, for a constant of the architecture (``audit.constants``); else empty.
    """

    op: str
    known: bool
    calls: int
    multiplications: int
    module: str
    phase: Phase
    source: str
    reason: str = ""


@dataclass(frozen=True)
class Note:
    """Something that the reader of an audit should know: what it could not follow, or what ran otherwise than usual.

    Attributes:
        text: what happened.
        source: ``file:line``.
        calls: how often.
    """

    text: str
    source: str
    calls: int


@dataclass(frozen=True)
class ModuleWork:
    """Arithmetic of this library's operations in one module and phase."""

    module: str
    phase: Phase
    work: Work


@dataclass(frozen=True)
class Report:
    """Everything an audit found.

    Attributes:
        summary: totals by name.
        findings: multiplications and unknown operations.
        constants: multiplications within ``audit.constants``.
        integers: products and quotients of integers; ``multiplications`` counts those.
        notes: what to know besides.
        work: arithmetic of this library's operations by module and phase.
        uncounted: this library's operations without a formula (``audit.formulas``), and their calls.
        pa_calls: calls of this library's operations by name.
    """

    summary: Mapping[str, int]
    findings: tuple[Finding, ...]
    constants: tuple[Finding, ...]
    integers: tuple[Finding, ...]
    notes: tuple[Note, ...]
    work: tuple[ModuleWork, ...]
    uncounted: Mapping[str, int]
    pa_calls: Mapping[str, int]

    @property
    def total_work(self) -> Work:
        return sum((entry.work for entry in self.work), Work())


Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""Title, names of the columns, rows; columns of numbers are right-aligned by their content."""


def totals(report: Report) -> list[str]:
    """The totals in two or three sentences."""
    summary, work = report.summary, report.total_work
    lines = [
        f"{summary['multiplications']:,} multiplications in {summary['multiplying_calls']:,} calls, "
        f"{summary['unknown_calls']:,} calls of unknown operations",
        f"{summary['pa_operations']:,} piecewise affine, {summary['integer_operations']:,} integer, "
        f"{summary['free_operations']:,} other free operations",
    ]
    if report.constants:
        count = sum(finding.multiplications for finding in report.constants)
        lines.append(f"{count:,} multiplications in constants of the architecture, not counted above")
    if work != Work():
        lines.append(
            f"{work.products:,} PAM, {work.quotients:,} PAD, {work.additions:,} additions, {work.powers:,} exp2, "
            f"{work.logarithms:,} log2 in place of {work.replaced:,} float multiplications"
        )
    return lines


def _findings(title: str, findings: Sequence[Finding], reasons: bool = False) -> Table:
    head = ("operation", "calls", "multiplications", "phase", "module", "source", *(("constant",) if reasons else ()))
    rows = [
        (
            finding.op if finding.known else f"{finding.op} (unknown)",
            f"{finding.calls:,}",
            f"{finding.multiplications:,}",
            finding.phase,
            finding.module or "-",
            finding.source or "-",
            *((finding.reason,) if reasons else ()),
        )
        for finding in findings
    ]
    return title, head, rows


def tables(report: Report, details: bool) -> list[Table]:
    """The tables that are not empty; integer arithmetic and work with ``details`` only."""
    found = [
        _findings("Findings", report.findings),
        _findings("Constants of the architecture", report.constants, reasons=True),
        (
            "Notes",
            ("note", "calls", "source"),
            [(note.text, f"{note.calls:,}", note.source or "-") for note in report.notes],
        ),
    ]
    if details:
        numbers = [(entry, entry.work) for entry in report.work]
        found += [
            _findings("Integer arithmetic", report.integers),
            (
                "Arithmetic in place of float multiplications",
                ("module", "phase", "PAM", "PAD", "additions", "exp2", "log2", "in place of"),
                [(entry.module or "-", entry.phase, *(f"{n:,}" for n in asdict(w).values())) for entry, w in numbers],
            ),
            (
                "Operations not counted",
                ("operation", "calls"),
                [(name, f"{calls:,}") for name, calls in report.uncounted.items()],
            ),
        ]
    return [table for table in found if table[2]]


def is_number(cell: str) -> bool:
    return cell.replace(",", "").isdigit()


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(map(is_number, column[1:])) for column in columns]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def as_text(report: Report, details: bool = False) -> str:
    """A readable account: totals, then the tables, most multiplications first."""
    lines = totals(report)
    for title, head, rows in tables(report, details):
        lines += ["", f"{title}:", *_columns([head, *rows])]
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """All of it as a JSON object."""
    content = {
        **report.summary,
        "pa_calls": dict(report.pa_calls),
        "findings": [asdict(finding) for finding in report.findings],
        "constants": [asdict(finding) for finding in report.constants],
        "integers": [asdict(finding) for finding in report.integers],
        "notes": [asdict(note) for note in report.notes],
        "work": {
            "total": asdict(report.total_work),
            "modules": [{"module": x.module, "phase": x.phase, **asdict(x.work)} for x in report.work],
            "uncounted": dict(report.uncounted),
        },
    }
    return json.dumps(content, indent=2)
