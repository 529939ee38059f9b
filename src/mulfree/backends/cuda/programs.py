"""All kernels as programs, with the settings that the backend uses: what the audit and the benchmarks compile."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mulfree.backends.cuda import channels, elementwise, optimizers, random, rows, sums
from mulfree.backends.cuda.kernels import Program
from mulfree.backends.cuda.plans import program
from mulfree.backends.cuda.problems import FORMATS
from mulfree.backends.cuda.tiles import SLOPE_TILES, TILES, Tiles


@dataclass(frozen=True)
class Named:
    """A program and what tables call it."""

    name: str
    program: Program

    def launches(self, kernel: str) -> bool:
        """A product launches ``totals`` only where the depth is split."""
        return kernel != "totals" or dict(self.program.defines).get("MF_SPLIT") != "0"

    @property
    def entries(self) -> int | None:
        """Of a thread of a product; None for other programs."""
        settings = dict(self.program.defines)
        return int(settings["MF_ROWS"]) * int(settings["MF_COLUMNS"]) if self.program.source == "product.cu" else None

    @property
    def words(self) -> tuple[int, int] | None:
        """That a thread of a product of matrices loads for a slice, of left and right; None for other programs."""
        settings = {name: int(value) for name, value in self.program.defines if name.startswith("MF_")}
        if self.entries is None or settings["MF_LEFT_PATCHES"] or settings["MF_RIGHT_PATCHES"]:
            return None
        sides = (settings[f"MF_{name}"] for name in ("THREAD_ROWS", "THREAD_COLUMNS", "ROWS", "COLUMNS"))
        return Tiles(*sides).words


def _tiles(tiles: Tiles) -> str:
    return f"{tiles.height}x{tiles.width}, {tiles.thread_rows}x{tiles.thread_columns} threads"


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _products() -> list[Named]:
    """All tiles and formats; for the largest tiles all layouts of the operands, results that are not flat, and the
    depth split."""
    found = [
        Named(f"{_tiles(tiles)}, {_dtype(dtype)}", program("product.cu", tiles, format_))
        for dtype, format_ in FORMATS.items()
        for tiles in TILES
    ]
    layouts = {"left transposed": (False, False), "right transposed": (True, True), "both transposed": (False, True)}
    largest = TILES[0]
    found += [
        Named(f"{_tiles(largest)}, {name}", program("product.cu", largest, deep=deep)) for name, deep in layouts.items()
    ]
    return [
        *found,
        Named(f"{_tiles(largest)}, result transposed", program("product.cu", largest, flat=False)),
        Named(f"{_tiles(largest)}, depth split", program("product.cu", largest, split=True)),
        *(
            Named(f"{_tiles(largest)}, {_dtype(dtype)}, survey", program("survey.cu", largest, format_))
            for dtype, format_ in FORMATS.items()
        ),
    ]


def _slopes() -> list[Named]:
    return [Named(_tiles(tiles), program("product.cu", tiles, slopes=True)) for tiles in SLOPE_TILES]


def _patches() -> list[Named]:
    """What convolutions are: forward and the gradient by the input, the gradient by the weight, whose depth is often
    split, and slopes of both."""
    kinds = {
        "convolution": ((False, True, True), (True, False), False, False),
        "gradient by the weight": ((True, True, False), (True, True), False, False),
        "gradient by the weight, depth split": ((True, True, False), (True, True), False, True),
        "slopes by the input": ((True, False, True), (False, True), True, False),
        "slopes by the weight": ((True, True, False), (True, True), True, False),
    }
    found = []
    for name, (patches, deep, slopes, split) in kinds.items():
        for tiles in SLOPE_TILES[:2] if slopes else (TILES[0], TILES[3]):
            flat = not patches[2]
            chosen = program("product.cu", tiles, patches=patches, deep=deep, slopes=slopes, split=split, flat=flat)
            found.append(Named(f"{name}, {_tiles(tiles)}", chosen))
    chosen = program("survey.cu", TILES[0], patches=(False, True, True))
    return [*found, Named(f"convolution, survey, {_tiles(TILES[0])}", chosen)]


def _plain(programs: tuple[Program, ...]) -> list[Named]:
    return [Named(str(program).replace("MF_", ""), program) for program in programs]


def groups() -> dict[str, list[Named]]:
    """All programs by group."""
    return {
        "products": _products(),
        "slopes": _slopes(),
        "patches": _patches(),
        "elementwise": [Named(name, elementwise.program(name)) for name in elementwise.EXPRESSIONS],
        "rows": _plain(rows.PROGRAMS),
        "sums": _plain(sums.PROGRAMS),
        "channels": _plain(channels.PROGRAMS),
        "optimizers": _plain(optimizers.PROGRAMS),
        "dropout": _plain(random.PROGRAMS),
    }
