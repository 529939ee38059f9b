"""Results of a device, for the screen and for the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.report import _quantity, line

COLUMNS = ("work", "data", "rival", "ours", "rival's", "speed", "share of limit", "limit")


@dataclass(frozen=True)
class Row:
    """Medians in seconds. ``share`` is that of what ``limit`` allows, None where there is no limit."""

    group: str
    work: str
    data: str
    rival: str
    ours: float
    theirs: float
    limit: str
    share: float | None
    samples: int

    @property
    def speed(self) -> float:
        return self.theirs / self.ours

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of ``COLUMNS``."""
        share = "" if self.share is None else f"{self.share:.2f}"
        times = _quantity(self.ours, "s"), _quantity(self.theirs, "s")
        return self.work, self.data, self.rival, *times, f"{self.speed:.2f}x", share, self.limit


@dataclass(frozen=True)
class Machine:
    """Where and with what a benchmark ran; ``copy`` in bytes a second."""

    device: str
    multiprocessors: int
    clock: str
    copy: str
    driver: str
    cuda: str
    nvrtc: str
    torch: str
    python: str
    mulfree: str
    command: str
    date: str


def data(machine: Machine, rows: Sequence[Row]) -> dict[str, Any]:
    """For JSON."""
    return {"machine": asdict(machine), "results": [{**asdict(row), "speed": row.speed} for row in rows]}


def markdown(machine: Machine, rows: Sequence[Row]) -> str:
    lines = [
        f"# {machine.device}",
        "",
        line(("", "")),
        line(("---", "---")),
        *(line((name.replace("_", " "), f"`{value}`")) for name, value in asdict(machine).items()),
        "",
        "Speed is the rival's time divided by ours: medians of device times with cold caches, taken in turns, after "
        "the result was verified. Torch computes float32 without TF32. The limit *issue* is an instruction of every "
        "scheduler at every clock, with the fewest instructions that a product takes (2, its exact derivative 4); "
        "*copy* is the measured bandwidth of a copy and the bytes that must be read and written.",
        "",
        line(COLUMNS),
        line("---" for _ in COLUMNS),
        *(line(row.cells) for row in rows),
    ]
    return "\n".join(lines) + "\n"
