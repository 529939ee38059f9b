"""A weight-stationary systolic tile: weights stay, operands move right, sums move down."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from mulfree.hardware.rtl.accumulate import MultiplyAdd, Product
from mulfree.hardware.rtl.words import FLOAT32, Format


class SystolicTile(wiring.Component):
    """``sum_out[j] = sum_in[j] + a[0] w[0][j] + a[1] w[1][j] + ...``, added in this order, a row of results a cycle.

    Weights: with ``load``, ``w_0 .. w_n`` enter the first row and every row moves down by one, so the last row comes
    first and ``rows`` cycles fill the tile. Operands: ``a_0 .. a_n`` (one for each row) and ``sum_in_0 .. sum_in_n``
    (float32, one for each column; +0, or the sums of the tile before) enter together; the tile skews them and aligns
    the results, which leave ``latency`` cycles later. Do not load while operands are on their way.
    """

    def __init__(
        self, format: Format, rows: int = 4, columns: int = 4, product: Product = "pam", offset: int = 0
    ) -> None:
        if rows < 1 or columns < 1:
            raise ValueError(f"a tile has at least one row and one column, got {rows} and {columns}")
        down, across = range(columns), range(rows)
        super().__init__(
            {
                "load": In(1),
                **{f"w_{column}": In(format.width) for column in down},
                **{f"a_{row}": In(format.width) for row in across},
                **{f"sum_in_{column}": In(FLOAT32.width) for column in down},
                **{f"sum_out_{column}": Out(FLOAT32.width) for column in down},
            }
        )
        self.rows, self.columns = rows, columns
        self.latency = rows + columns - 1
        self._cells = [[MultiplyAdd(format, product, offset) for _ in down] for _ in across]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        weights: list[Value] = [getattr(self, f"w_{column}") for column in range(self.columns)]
        sums = [_delayed(m, getattr(self, f"sum_in_{c}"), c, f"sum_in_{c}") for c in range(self.columns)]
        for row, cells in enumerate(self._cells):
            operand = _delayed(m, getattr(self, f"a_{row}"), row, f"a_{row}")
            for column, cell in enumerate(cells):
                m.submodules[f"cell_{row}_{column}"] = cell
                weight = Signal.like(weights[column], name=f"weight_{row}_{column}", reset_less=True)
                with m.If(self.load):
                    m.d.sync += weight.eq(weights[column])
                m.d.comb += [cell.a.eq(operand), cell.b.eq(weight), cell.c.eq(sums[column])]
                weights[column] = weight
                sums[column] = _delayed(m, cell.y, 1, f"sum_{row}_{column}")
                operand = _delayed(m, operand, 1, f"operand_{row}_{column}") if column + 1 < self.columns else operand
        for column, total in enumerate(sums):
            aligned = _delayed(m, total, self.columns - 1 - column, f"sum_out_{column}")
            m.d.comb += getattr(self, f"sum_out_{column}").eq(aligned)
        return m


def _delayed(m: Module, word: Value, cycles: int, name: str) -> Value:
    for cycle in range(cycles):
        held = Signal(len(word), name=f"{name}_late_{cycle}", reset_less=True)
        m.d.sync += held.eq(word)
        word = held
    return word
