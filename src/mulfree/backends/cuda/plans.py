"""How a product is computed: its tiles, programs and grids, worked out once for each problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mulfree.backends.arguments import address
from mulfree.backends.cuda.kernels import Launch, Launcher, Program, divider, packed
from mulfree.backends.cuda.problems import FORMATS, Problem
from mulfree.backends.cuda.tiles import MOST_BLOCKS, Tiles, choose, chunks_of
from mulfree.numerics.formats import MANTISSA_BITS

_SURVEY_THREADS = _TOTALS_THREADS = 256
_SPAN_WORDS = 4
_KEPT = 4096
Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Memory:
    """The tensors of a problem. The result is float32, all of its entries get written; so is the bias."""

    left: Tensor
    right: Tensor
    out: Tensor
    point: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True)
class Plan:
    """Launches of a problem, all but the addresses."""

    survey: Program
    product: Program
    survey_blocks: Grid
    product_blocks: Grid
    totals_blocks: Grid | None
    threads: int
    spans: int
    """Words that the survey writes."""
    workspace: int
    """Sums of the chunks of a split depth."""
    fields: tuple[bytes, ...]
    """The product's parameter, cut where the addresses of left, right, point, result, bias, spans and workspace are."""
    totals_fields: tuple[bytes, ...]
    """Likewise that of ``totals``: result, workspace and bias."""


@lru_cache(_KEPT)
def plan(problem: Problem, multiprocessors: int) -> Plan:
    """The plan of a problem whose result has entries."""
    choice = choose(problem, multiprocessors)
    tiles, split, chunks = choice.tiles, choice.split, chunks_of(problem)
    row_panels, column_panels = tiles.panels(problem)
    batches, count = problem.batch.count, problem.rows * problem.columns
    batch_blocks = min(batches, MOST_BLOCKS)
    totals_blocks = min(-(-count // _TOTALS_THREADS), 16 * multiprocessors)
    return Plan(
        survey=_program("survey.cu", problem, tiles, False, True),
        product=_program("product.cu", problem, tiles, split, _is_flat(problem)),
        survey_blocks=(row_panels + column_panels, min(chunks, MOST_BLOCKS), batch_blocks),
        product_blocks=(row_panels * column_panels, 1, chunks if split else batch_blocks),
        totals_blocks=(totals_blocks, 1, 1) if split else None,
        threads=tiles.threads,
        spans=batches * (row_panels + column_panels) * chunks * _SPAN_WORDS,
        workspace=chunks * count if split else 0,
        fields=_cut(_fields(problem, row_panels, column_panels)),
        totals_fields=_cut(_totals_fields(problem, chunks)),
    )


def _is_flat(problem: Problem) -> bool:
    """Neighbouring columns of the result are neighbours in memory."""
    return not problem.scattered and problem.out_columns.strides[0] == 1


def _program(source: str, problem: Problem, tiles: Tiles, split: bool, flat: bool) -> Program:
    return program(
        source, tiles, FORMATS[problem.dtype],
        (problem.left.bounds is not None, problem.right.bounds is not None, problem.scattered),
        (problem.left.deep, problem.right.deep), problem.point is not None, split, flat,
    )  # fmt: skip


def program(
    source: str,
    tiles: Tiles,
    format_: int = 0,
    patches: Sequence[bool] = (False, False, False),
    deep: Sequence[bool] = (True, False),
    slopes: bool = False,
    split: bool = False,
    flat: bool = True,
) -> Program:
    """A program with the settings of ``problem.hpp``."""
    settings = {
        "FORMAT": format_, "LEFT_PATCHES": patches[0], "RIGHT_PATCHES": patches[1],
        "OUT_PATCHES": patches[2], "OUT_FLAT": flat, "LEFT_DEEP": deep[0], "RIGHT_DEEP": deep[1],
        "SLOPES": slopes, "SPLIT": split,
        "THREAD_ROWS": tiles.thread_rows, "THREAD_COLUMNS": tiles.thread_columns, "ROWS": tiles.rows,
        "COLUMNS": tiles.columns,
    }  # fmt: skip
    return Program(source, tuple((f"MF_{name}", str(int(value))) for name, value in settings.items()))


_ADDRESS = -1 << 63  # stands for an address while a parameter is laid out


def _fields(problem: Problem, row_panels: int, column_panels: int) -> list[int]:
    point = problem.point or problem.left
    batch_sizes, batch_strides = problem.batch.fields()
    return [
        *problem.left.fields(_ADDRESS), *problem.right.fields(_ADDRESS), *point.fields(_ADDRESS),
        _ADDRESS, *problem.out_rows.fields(), *problem.out_columns.fields(), _ADDRESS, *problem.bias_strides,
        problem.rows, problem.columns, problem.depth, problem.batch.count, *batch_sizes, *batch_strides,
        MANTISSA_BITS - problem.mantissa_bits, problem.offset, *divider(row_panels), column_panels, _ADDRESS, _ADDRESS,
    ]  # fmt: skip


def _totals_fields(problem: Problem, chunks: int) -> list[int]:
    return [
        _ADDRESS, _ADDRESS, _ADDRESS, *problem.bias_strides, problem.rows, problem.columns, chunks,
        *divider(problem.columns), *problem.out_rows.fields(), *problem.out_columns.fields(),
    ]  # fmt: skip


def _cut(fields: list[int]) -> tuple[bytes, ...]:
    """The packed fields between the addresses."""
    parts: list[list[int]] = [[]]
    for value in fields:
        if value == _ADDRESS:
            parts.append([])
        else:
            parts[-1].append(value)
    return tuple(packed(part) for part in parts)


def _joined(parts: tuple[bytes, ...], addresses: Sequence[int]) -> bytes:
    words = [x.to_bytes(8, "little") for x in addresses]
    return b"".join([parts[0], *(x for pair in zip(words, parts[1:], strict=True) for x in pair)])


def run(launcher: Launcher, problem: Problem, memory: Memory) -> None:
    """Computes the result of ``problem`` in ``memory``."""
    if problem.empty:
        return
    how = plan(problem, launcher.multiprocessors())
    device = memory.out.device
    spans = torch.empty(how.spans, dtype=torch.int32, device=device)
    workspace = torch.empty(how.workspace, dtype=torch.float32, device=device) if how.workspace else None
    left, out = memory.left.data_ptr(), memory.out.data_ptr()
    point = left if memory.point is None else memory.point.data_ptr()
    bias, work = address(memory.bias), address(workspace)
    fields = _joined(how.fields, (left, memory.right.data_ptr(), point, out, bias, spans.data_ptr(), work))
    launcher.launch(Launch(how.survey, "survey", how.survey_blocks, _SURVEY_THREADS, fields))
    launcher.launch(Launch(how.product, "product", how.product_blocks, how.threads, fields))
    if how.totals_blocks is not None:
        fields = _joined(how.totals_fields, (out, work, bias))
        launcher.launch(Launch(how.product, "totals", how.totals_blocks, _TOTALS_THREADS, fields))
