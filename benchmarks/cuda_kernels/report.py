"""The tables of compiled kernels, and their data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cuda_kernels.cubin import Resources
from benchmarks.cuda_kernels.limits import (
    WARP,
    Architecture,
    Device,
    issue_rate,
    resident_blocks,
    unit_rate,
)
from benchmarks.cuda_kernels.loops import Loop
from benchmarks.report import table
from mulfree.audit.sass import MISSING

KERNEL_COLUMNS = (
    "program", "kernel", "threads", "registers", "stack", "spills", "shared", "blocks", "warps", "occupancy",
    "float multiplies",
)  # fmt: skip
LOOP_COLUMNS = (
    "group",
    "program",
    "loop",
    "products",
    "a product",
    "instructions",
    "issue limit",
    "limit of the units",
    "with transfers",
)
_RARE = 0.02  # of a product: kinds of instructions below are summed up


@dataclass(frozen=True)
class Kernel:
    """One row of the table of kernels. Spills and multiplies are None without a disassembler."""

    group: str
    program: str
    resources: Resources
    spills: int | None
    multiplies: int | None
    loops: tuple[Loop, ...] = ()
    transfers: int | None = None
    """Instructions of a thread that load and store a slice of both operands, of products of matrices."""


@dataclass(frozen=True)
class Report:
    """``compiler`` is NVRTC's version."""

    command: str
    compiler: str
    version: str
    architecture: Architecture
    device: Device
    kernels: tuple[Kernel, ...]
    disassembled: bool

    def data(self) -> dict[str, Any]:
        """For JSON."""
        header = {name: value for name, value in asdict(self).items() if name != "kernels"}
        return {**header, "kernels": [self._kernel_data(kernel) for kernel in self.kernels]}

    def _kernel_data(self, kernel: Kernel) -> dict[str, Any]:
        blocks = resident_blocks(kernel.resources, self.architecture)
        found = [self._loop_data(loop) for loop in kernel.loops]
        return {**asdict(kernel), "blocks": blocks, "warps": self._warps(kernel), "loops": found}

    def _loop_data(self, loop: Loop) -> dict[str, Any]:
        return {
            "way": loop.way,
            "products": loop.products,
            "instructions": dict(loop.kinds.most_common()),
            "per_product": loop.per_product,
            "issue_limit": issue_rate(loop.per_product, self.device),
            "unit_limit": unit_rate(loop, self.architecture, self.device),
        }

    def _warps(self, kernel: Kernel) -> int:
        return resident_blocks(kernel.resources, self.architecture) * -(-kernel.resources.threads // WARP)

    def _units(self) -> str:
        floats, integers = self.architecture.float_lanes, self.architecture.integer_lanes
        if floats is None or integers is None:
            return f"The rates of the units of {self.architecture.name} are not known here."
        return (
            f"The limit of the units supposes too that a clock does at most {floats} float additions, {integers} IMADs "
            f"and {integers} other integer additions, comparisons and logical operations."
        )

    def kernel_cells(self, kernel: Kernel) -> tuple[str, ...]:
        """In the order of ``KERNEL_COLUMNS``."""
        r, warps = kernel.resources, self._warps(kernel)
        unknown = ["?" if value is None else str(value) for value in (kernel.spills, kernel.multiplies)]
        blocks = resident_blocks(r, self.architecture)
        share = f"{100 * warps / self.architecture.warps:.0f} %"
        numbers = (r.threads, r.registers, r.stack, unknown[0], r.shared, blocks, warps, share, unknown[1])
        return kernel.program, r.kernel, *map(str, numbers)

    def loop_cells(self, kernel: Kernel, loop: Loop) -> tuple[str, ...]:
        """In the order of ``LOOP_COLUMNS``."""
        limit = unit_rate(loop, self.architecture, self.device)
        return (
            kernel.group,
            kernel.program,
            loop.way,
            str(loop.products),
            f"{loop.per_product:.2f}",
            mix(loop),
            f"{issue_rate(loop.per_product, self.device) / 1e12:.1f}",
            "?" if limit is None else f"{limit / 1e12:.1f}",
            self._whole(kernel, loop),
        )

    def _whole(self, kernel: Kernel, loop: Loop) -> str:
        if kernel.transfers is None or loop.way != "fast":
            return ""
        per_product = (loop.instructions + kernel.transfers) / loop.products
        return f"{issue_rate(per_product, self.device) / 1e12:.1f} ({kernel.transfers})"

    def markdown(self) -> str:
        architecture, device = self.architecture, self.device
        lines = [
            f"# CUDA kernels compiled for {architecture.name}",
            "",
            f"    {self.command}",
            "",
            f"NVRTC {self.compiler}, mulfree {self.version}. Nothing here was run: registers, stack and shared memory "
            "(bytes) are those of the machine code, instructions those of its disassembly.",
            "",
            f"Blocks and warps are what a multiprocessor holds at a time: {architecture.warps} warps, "
            f"{architecture.blocks} blocks, 65536 registers, {architecture.shared} KiB of shared memory at most. "
            "Spills are instructions that read or write the stack; float multiplies also count fused ones, reciprocals "
            "and other functions of floats.",
        ]
        if not self.disassembled:
            lines += ["", f"**{MISSING}**"]
        lines += [
            "",
            "## Loops of products",
            "",
            "Instructions of the unrolled loops, for each product. The issue limit is 128 results of a multiprocessor "
            "a clock over the instructions, in 10^12 products a second with "
            f"{device.multiprocessors} multiprocessors at {device.clock:g} GHz. {self._units()} Neither has what runs "
            "between slices; the last column is the issue limit of fast loops over matrices with the instructions (in "
            "parentheses, of a thread for a slice of 8 of the depth) that load, encode and store both operands.",
            "",
            *table(LOOP_COLUMNS, 2, (self.loop_cells(k, loop) for k in self.kernels for loop in k.loops)),
        ]
        for group in dict.fromkeys(kernel.group for kernel in self.kernels):
            rows = (self.kernel_cells(kernel) for kernel in self.kernels if kernel.group == group)
            lines += ["", f"## {group.capitalize()}", "", *table(KERNEL_COLUMNS, 2, rows)]
        return "\n".join(lines) + "\n"


def mix(loop: Loop) -> str:
    """Kinds of instructions a product, the frequent ones first."""
    shares = [(kind, number / loop.products) for kind, number in loop.kinds.most_common()]
    rest = sum(share for _, share in shares if share < _RARE)
    named = [f"{share:.2f} {kind}" for kind, share in shares if share >= _RARE]
    return ", ".join([*named, f"{rest:.2f} other"] if rest else named)
