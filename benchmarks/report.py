"""Results for the screen and for the disk: the table, the machine, JSON and Markdown."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import numpy
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_info

from benchmarks.harness import Result
from mulfree.backends import select
from mulfree.train.machine import processor, revision, version

KERNELS = "mulfree.backends._cpu"
COLUMNS = ("work", "data", "rival", "ours", "rival's", "speed", "target", "met")


PRINTED_WIDTH = 140
"""Columns of tables that do not go to a terminal."""


@dataclass(frozen=True)
class Machine:
    """Where, when and with what a benchmark ran."""

    processor: str
    logical_cores: int
    system: str
    threads: int
    target: str
    compiler: str
    python: str
    torch: str
    torch_capability: str
    numpy: str
    numpy_blas: str
    mulfree: str
    command: str
    date: str

    @property
    def slug(self) -> str:
        """The name of the result files: processor and target."""
        name = re.sub(r"\((r|tm)\)|\bcpu\b|@.*", " ", self.processor.lower())
        return "-".join([*re.findall(r"[a-z0-9]+", name), self.target])


def native_target() -> str:
    """The instruction set that the CPU kernels use, or "reference" where they were not built."""
    try:
        select.named("cpu")
    except ImportError:
        return "reference"
    return str(import_module(KERNELS).target())


def _compiler() -> str:
    """The compiler that built the kernels, from the note that it leaves in the file."""
    try:
        binary = import_module(KERNELS).__file__
    except ImportError:
        return "none"
    note = re.search(rb"GCC: \([^)\0]*\) [\d.]+|clang version [\d.]+", Path(str(binary)).read_bytes())
    return note.group().decode() if note else "unknown"


def _blas() -> str:
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return ", ".join(sorted({f"{library['internal_api']} {library['version']}" for library in libraries})) or "unknown"


def installed_version() -> str:
    """The version, and the commit where the folder is a checkout."""
    installed, commit = version("mulfree") or "not installed", revision(Path(__file__).parent)
    return f"{installed} ({commit})" if commit else installed


def describe_machine(threads: int, command: str) -> Machine:
    return Machine(
        processor=processor(),
        logical_cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        threads=threads,
        target=native_target(),
        compiler=_compiler(),
        python=platform.python_version(),
        torch=torch.__version__,
        torch_capability=torch.backends.cpu.get_cpu_capability(),
        numpy=numpy.__version__,
        numpy_blas=_blas(),
        mulfree=installed_version(),
        command=command,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


def _quantity(value: float, unit: str) -> str:
    scales = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")) if unit == "s" else ((2.0**20, "MiB"), (2.0**10, "KiB"))
    for size, name in scales:
        if value >= size:
            return f"{value / size:.3g} {name}"
    size, name = scales[-1]
    return f"{value / size:.3g} {name}"


def cells(result: Result) -> tuple[str, ...]:
    """The cells of a result's row, in the order of ``COLUMNS``."""
    return (
        result.work,
        result.data,
        result.rival,
        _quantity(result.ours, result.unit),
        _quantity(result.theirs, result.unit),
        f"{result.ratio:.2f}x",
        "" if result.target is None else f">= {result.target:g}x",
        {True: "yes", False: "no", None: ""}[result.met],
    )


def screen() -> Console:
    """The terminal, or where there is none lines of a fixed width."""
    console = Console()
    return console if console.is_terminal else Console(width=PRINTED_WIDTH)


def show(results: Sequence[Result], console: Console) -> None:
    shown = Table(*COLUMNS, title="Speed beside the rival: rival's time / ours, medians of alternating samples")
    for previous, result in zip([None, *results], results, strict=False):
        if previous is not None and previous.group != result.group:
            shown.add_section()
        style = {True: "green", False: "red", None: ""}[result.met]
        shown.add_row(*cells(result)[:-1], f"[{style}]{cells(result)[-1]}[/]" if style else "")
    console.print(shown)
    with_target = [result for result in results if result.target is not None]
    console.print(f"{sum(bool(result.met) for result in with_target)} of {len(with_target)} targets met.")


def line(entries: Iterable[str]) -> str:
    """Of a table in Markdown."""
    return "| " + " | ".join(entries) + " |"


def table(columns: Sequence[str], texts: int, rows: Iterable[Sequence[str]]) -> list[str]:
    """In Markdown; the first columns are texts, the others numbers."""
    aligned = ["---" if index < texts else "---:" for index in range(len(columns))]
    return [line(columns), line(aligned), *map(line, rows)]


def markdown(machine: Machine, results: Sequence[Result]) -> str:
    lines = [
        f"# {machine.processor}, {machine.target} kernels",
        "",
        line(("", "")),
        line(("---", "---")),
        *(line((name.replace("_", " "), f"`{value}`")) for name, value in asdict(machine).items()),
        "",
        "Speed is the rival's time divided by ours, medians of samples taken in turns; every result was verified "
        "before it was timed.",
        "",
        line(COLUMNS),
        line("---" for _ in COLUMNS),
        *(line(cells(result)) for result in results),
    ]
    return "\n".join(lines) + "\n"


def write(machine: Machine, results: Sequence[Result], folder: Path) -> list[Path]:
    """Write ``<processor>-<target>.json`` and ``.md`` to ``folder``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"machine": asdict(machine), "results": [{**asdict(result), "met": result.met} for result in results]}
    paths = [folder / f"{machine.slug}.json", folder / f"{machine.slug}.md"]
    paths[0].write_text(json.dumps(data, indent=2) + "\n")
    paths[1].write_text(markdown(machine, results))
    return paths
