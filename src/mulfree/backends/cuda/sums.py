"""Sums in the law's order, and the count of targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from mulfree.backends.cuda.elementwise import blocks_for
from mulfree.backends.cuda.kernels import Launch, Launcher, Program, divider
from mulfree.numerics.formats import SUM_CHUNK

SUMS = Program("sums.cu")
TARGETS = Program("targets.cu")
PROGRAMS: tuple[Program, ...] = (SUMS, TARGETS)

THREADS = 256
_WARP = 32
_WARPS = THREADS // _WARP
_NARROW = 8  # numbers side by side that still fill what the memory reads at a time


@dataclass(frozen=True)
class Rows:
    """The rows of a contiguous tensor ``(outer, before, kept, after)``: one for each place of (outer, kept), its terms
    in the order (before, after)."""

    outer: int
    before: int
    kept: int
    after: int

    @property
    def count(self) -> int:
        return self.outer * self.kept

    @property
    def terms(self) -> int:
        return self.before * self.after

    @property
    def chunks(self) -> int:
        return -(-self.terms // SUM_CHUNK)

    @property
    def by_columns(self) -> bool:
        """Whether neighbouring rows are read together, rather than neighbouring terms."""
        return self.kept > 1 and self.after < _NARROW < self.kept * self.after

    @property
    def _group(self) -> int:
        """log2 of the lanes of a warp for a chunk."""
        return min(self.terms - 1, _WARP - 1).bit_length()

    def fields(self, stride: int | None = None) -> list[int]:
        """Those of ``Rows`` in ``csrc/cuda/passes.hpp``, for threads that take every ``stride``-th term."""
        if stride is None:
            stride = _WARPS if self.by_columns else 1 << self._group
        line = self.kept * self.after
        lines, rest = divmod(stride, max(self.after, 1))
        return [
            self.count, self.terms, *_divider(self.chunks), *_divider(self.kept), *_divider(self.after),
            self.before * line, line, self._group, lines * line + rest, rest, line - self.after,
        ]  # fmt: skip

    def launch_pass(self, launcher: Launcher, program: Program, name: str, arguments: Sequence[int]) -> None:
        """``name``_by_columns or ``name``_by_lanes over all chunks; there is at least one."""
        if self.by_columns:
            blocks = blocks_for(-(-self.count // _WARP) * self.chunks * THREADS, launcher)
            launcher.launch(Launch(program, f"{name}_by_columns", blocks, THREADS, arguments))
            return
        warps = -(-(self.count * self.chunks << self._group) // _WARP)
        _launch_warps(launcher, program, f"{name}_by_lanes", warps, arguments)

    def launch_totals(self, launcher: Launcher, program: Program, name: str, arguments: Sequence[int]) -> None:
        """``name`` with a warp for each row."""
        _launch_warps(launcher, program, name, self.count, arguments)


def _divider(divisor: int) -> tuple[int, int, int]:
    """Nothing is divided by 0, but kernels read the divisor."""
    return divider(divisor) if divisor else (0, 0, 0)


def _launch_warps(launcher: Launcher, program: Program, name: str, warps: int, arguments: Sequence[int]) -> None:
    threads = _WARP * min(warps, _WARPS)
    launcher.launch(Launch(program, name, blocks_for(warps * _WARP, launcher, threads), threads, arguments))


def sum_rows(launcher: Launcher, rows: Rows, x: Tensor, out: Tensor) -> None:
    """The sums of all rows of a contiguous ``x``; there are rows and terms."""
    if rows.by_columns and rows.terms <= _WARP:
        threads = _WARP * min(-(-rows.count // _WARP), _WARPS)
        arguments = [*rows.fields(stride=1), x.data_ptr(), out.data_ptr(), 0]
        launcher.launch(Launch(SUMS, "short_sums", blocks_for(rows.count, launcher, threads), threads, arguments))
        return
    sums = out if rows.chunks == 1 else torch.empty(rows.count, rows.chunks, dtype=torch.float32, device=x.device)
    arguments = [*rows.fields(), x.data_ptr(), sums.data_ptr(), out.data_ptr()]
    rows.launch_pass(launcher, SUMS, "sums", arguments)
    if rows.chunks > 1:
        rows.launch_totals(launcher, SUMS, "totals", arguments)


def _rows(shape: Sequence[int], dims: Sequence[int]) -> Rows | None:
    """How ``dims`` make up rows; None where they are too scattered."""
    sizes = [1, 1, 1, 1]
    group = 0  # the first and the third are kept
    for dim, size in enumerate(shape):
        if size == 1:
            continue
        if (dim in dims) != (group % 2 == 1):
            group += 1
        if group == len(sizes):
            return None
        sizes[group] *= size
    outer, before, kept, after = sizes
    return Rows(outer, before, kept, after) if kept > 1 else Rows(outer, 1, 1, before * after)


class CUDASums:
    """Sums over any dimensions, and the count of targets."""

    launcher: Launcher

    def sum(self, x: Tensor, dims: tuple[int, ...], keepdim: bool = False) -> Tensor:
        shape = [1 if dim in dims else size for dim, size in enumerate(x.shape) if keepdim or dim not in dims]
        if x.numel() == 0:
            return torch.zeros(shape, dtype=torch.float32, device=x.device)
        rows = _rows(x.shape, dims)
        if rows is None:  # bring the dimensions together at the end
            kept = [dim for dim in range(x.dim()) if dim not in dims]
            n = prod(x.shape[dim] for dim in dims)
            x, rows = x.permute(*kept, *dims), Rows(x.numel() // n, 1, 1, n)
        x = x.contiguous()
        out = torch.empty(shape, dtype=torch.float32, device=x.device)
        sum_rows(self.launcher, rows, x, out)
        return out

    def count_targets(self, target: Tensor, classes: int, ignore_index: int) -> int:
        target = target.contiguous()
        count = target.numel()
        if count == 0:
            return 0
        threads = min(THREADS, max(_WARP, 1 << (count - 1).bit_length()))
        blocks = blocks_for(count, self.launcher, threads)
        partial = torch.empty(blocks[0] + 1, dtype=torch.int64, device=target.device)
        arguments = [target.data_ptr(), partial.data_ptr(), count, classes, ignore_index]
        self.launcher.launch(Launch(TARGETS, "count_of_blocks", blocks, threads, arguments))
        if blocks[0] > 1:
            arguments = [partial.data_ptr(), partial[-1:].data_ptr(), blocks[0], 0, 0]
            self.launcher.launch(Launch(TARGETS, "total_count", (1, 1, 1), THREADS, arguments))
        return int(partial[-1 if blocks[0] > 1 else 0].item())
