"""One step of the recurrent cells, rows of it or of all steps at once, and its derivative (spec 7)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mulfree.backends.contract import Backend
from mulfree.ops.gates import product_grad, sigmoid, sigmoid_grad, tanh, tanh_grad


class Rows(NamedTuple):
    """Operands of a step: gates from the input and from the hidden state, hidden state and cell state before it."""

    from_input: Tensor
    from_hidden: Tensor
    hidden: Tensor
    cell: Tensor


class Grads(NamedTuple):
    """Derivatives by ``Rows``; None by a hidden state that only the gates see."""

    from_input: Tensor
    from_hidden: Tensor
    hidden: Tensor | None
    cell: Tensor


@dataclass(frozen=True)
class Cell(ABC):
    backend: Backend
    exact: bool

    @abstractmethod
    def values(self, rows: Rows) -> tuple[Tensor, ...]:
        """What the derivative needs; the last two are the cell state after the step and its output."""

    @abstractmethod
    def grads(self, rows: Rows, values: tuple[Tensor, ...], by_output: Tensor, by_cell: Tensor) -> Grads: ...

    def _product_grads(self, grad: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        by = self.backend, self.exact, grad
        return product_grad(*by, a, b), product_grad(*by, b, a)


class LSTMCell(Cell):
    """Gates i, f, g, o: ``c' = mul(f, c) + mul(i, g)``, ``y = mul(o, tanh(c'))``."""

    def values(self, rows: Rows) -> tuple[Tensor, ...]:
        mul = self.backend.mul
        gates = rows.from_input + rows.from_hidden
        logistic = sigmoid(self.backend, gates)
        i, f, _, o = logistic.chunk(4, 1)
        g = tanh(self.backend, gates.chunk(4, 1)[2])
        cell = mul(f, rows.cell) + mul(i, g)
        bounded = tanh(self.backend, cell)
        return gates, logistic, g, bounded, cell, mul(o, bounded)

    def grads(self, rows: Rows, values: tuple[Tensor, ...], by_output: Tensor, by_cell: Tensor) -> Grads:
        gates, logistic, g, bounded, cell, _ = values
        i, f, _, o = logistic.chunk(4, 1)
        by_o, by_bounded = self._product_grads(by_output, o, bounded)
        by_cell = by_cell + tanh_grad(self.backend, by_bounded, cell, self.exact)
        by_f, by_previous = self._product_grads(by_cell, f, rows.cell)
        by_i, by_g = self._product_grads(by_cell, i, g)
        by_gates = sigmoid_grad(self.backend, torch.cat([by_i, by_f, by_g, by_o], 1), gates, self.exact)
        by_gates.chunk(4, 1)[2].copy_(tanh_grad(self.backend, by_g, gates.chunk(4, 1)[2], self.exact))
        return Grads(by_gates, by_gates, None, by_previous)


class GRUCell(Cell):
    """Gates r, z, n: ``n = tanh(x_n + mul(r, h_n))``, ``y = mul(h - n, z) + n``."""

    def values(self, rows: Rows) -> tuple[Tensor, ...]:
        size = rows.hidden.shape[1]
        gates = rows.from_input[:, : 2 * size] + rows.from_hidden[:, : 2 * size]
        logistic = sigmoid(self.backend, gates)
        r, z = logistic.chunk(2, 1)
        candidate = rows.from_input[:, 2 * size :] + self.backend.mul(r, rows.from_hidden[:, 2 * size :])
        n = tanh(self.backend, candidate)
        return gates, logistic, candidate, n, rows.cell, self.backend.mul(rows.hidden - n, z) + n

    def grads(self, rows: Rows, values: tuple[Tensor, ...], by_output: Tensor, by_cell: Tensor) -> Grads:
        gates, logistic, candidate, n, *_ = values
        r, z = logistic.chunk(2, 1)
        by_change, by_z = self._product_grads(by_output, rows.hidden - n, z)
        by_candidate = tanh_grad(self.backend, by_output - by_change, candidate, self.exact)
        size = rows.hidden.shape[1]
        by_r, by_hidden_gate = self._product_grads(by_candidate, r, rows.from_hidden[:, 2 * size :])
        by_gates = sigmoid_grad(self.backend, torch.cat([by_r, by_z], 1), gates, self.exact)
        from_input, from_hidden = (torch.cat([by_gates, x], 1) for x in (by_candidate, by_hidden_gate))
        return Grads(from_input, from_hidden, by_change, by_cell)


class TanhCell(Cell):
    """``y = tanh(gates)``."""

    def values(self, rows: Rows) -> tuple[Tensor, ...]:
        gates = rows.from_input + rows.from_hidden
        return gates, rows.cell, tanh(self.backend, gates)

    def grads(self, rows: Rows, values: tuple[Tensor, ...], by_output: Tensor, by_cell: Tensor) -> Grads:
        by_gates = tanh_grad(self.backend, by_output, values[0], self.exact)
        return Grads(by_gates, by_gates, None, by_cell)


class ReluCell(Cell):
    """``y = relu(gates)``."""

    def values(self, rows: Rows) -> tuple[Tensor, ...]:
        gates = rows.from_input + rows.from_hidden
        return gates, rows.cell, gates.relu()

    def grads(self, rows: Rows, values: tuple[Tensor, ...], by_output: Tensor, by_cell: Tensor) -> Grads:
        by_gates = torch.where(values[0] > 0, by_output, 0.0)
        return Grads(by_gates, by_gates, None, by_cell)


CELLS: tuple[tuple[type[Cell], int], ...] = ((LSTMCell, 4), (GRUCell, 3), (TanhCell, 1), (ReluCell, 1))
"""Cells and how many gates they have, by the number that names them in schemas."""
LSTM, GRU, RNN_TANH, RNN_RELU = range(len(CELLS))
