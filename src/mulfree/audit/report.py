"""What an audit found, as data, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Phase = Literal["forward", "backward", "optimizer"]


@dataclass(frozen=True)
class Finding:
    """Calls of one operation from one place.

    Attributes:
        op: name in PyTorch's dispatcher with overload, such as ``aten::mul.Tensor``.
        known: False for an operation the audit's tables do not hold.
        calls: number of calls.
        multiplications: scalar multiplications of all calls (``audit.counting``); an unknown operation is
            taken to multiply.
        module: path of the innermost module that was running, or whose forward pass is differentiated;
            the optimizer's class in its step; empty outside of both.
        phase: forward, backward or optimizer.
        source: ``file:line`` of the calling code outside PyTorch and this library.
    """

    op: str
    known: bool
    calls: int
    multiplications: int
    module: str
    phase: Phase
    source: str


def _columns(rows: Sequence[Sequence[str]], right: frozenset[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table(findings: Sequence[Finding], summary: Mapping[str, int]) -> str:
    """A readable account: totals, then one line per finding, most multiplications first."""
    lines = [
        f"{summary['multiplications']:,} multiplications in {summary['multiplying_calls']:,} calls, "
        f"{summary['unknown_calls']:,} calls of unknown operations",
        f"{summary['pa_operations']:,} piecewise affine, {summary['integer_operations']:,} integer, "
        f"{summary['free_operations']:,} other free operations",
    ]
    if findings:
        head = ("operation", "calls", "multiplications", "phase", "module", "source")
        rows = [
            (
                finding.op if finding.known else f"{finding.op} (unknown)",
                f"{finding.calls:,}",
                f"{finding.multiplications:,}",
                finding.phase,
                finding.module or "-",
                finding.source,
            )
            for finding in findings
        ]
        lines += ["", *_columns([head, *rows], frozenset({1, 2}))]
    return "\n".join(lines)


def to_json(findings: Sequence[Finding], summary: Mapping[str, int], pa_calls: Mapping[str, int]) -> str:
    """The same as a JSON object."""
    content = {**summary, "pa_calls": dict(pa_calls), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(content, indent=2)
