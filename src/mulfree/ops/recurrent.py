"""The operation ``recurrent``: one layer in one direction, step by step (spec 7).

Rows are those of torch's packed sequences: step t has ``sizes[t]`` of them, the first sequences of the batch. All
tensors are float32. What does not depend on the step before is done for all rows at once: the derivative's values of
the gates, and the gradients of the weights, whose sums over all rows are in the order of one dot product.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mulfree.backends.select import for_tensor
from mulfree.ops.cells import CELLS, Rows
from mulfree.ops.checks import check_floats, check_mantissa_bits
from mulfree.ops.precision import backward_bits, forward_bits
from mulfree.ops.registry import Operation, define


@dataclass(frozen=True)
class _How:
    """The numbers among the arguments, in their order in the schema."""

    kind: int
    sizes: tuple[int, ...]
    reverse: bool
    mantissa_bits: int
    offset: int
    exact_left: bool
    exact_right: bool
    exact_cell: bool

    def steps(self) -> list[slice]:
        """Rows of each step, in the order of the direction."""
        ends = [0, *itertools.accumulate(self.sizes)]
        found = [slice(*pair) for pair in itertools.pairwise(ends)]
        return found[::-1] if self.reverse else found


class _Layer:
    """How this layer multiplies."""

    def __init__(self, like: Tensor, how: _How):
        self.backend, self.how = for_tensor(like), how
        self.cell = CELLS[how.kind][0](self.backend, how.exact_cell)

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.backend.matmul(x, weight.mT, bias, forward_bits(self.how.mantissa_bits), self.how.offset)

    def by_input(self, grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        numbers = backward_bits(self.how.mantissa_bits), self.how.offset
        if self.how.exact_left:
            return self.backend.matmul_grad(x, weight.mT, grad, *numbers)
        return self.backend.matmul(grad, weight, None, *numbers)

    def by_weight(self, grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        numbers = backward_bits(self.how.mantissa_bits), self.how.offset
        if self.how.exact_right:
            return self.backend.matmul_grad(weight, x.mT, grad.mT, *numbers)
        return self.backend.matmul(grad.mT, x, None, *numbers)


def _check(
    gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None, how: _How
) -> None:
    dtype = check_floats("recurrent", gates=gates, h0=h0, c0=c0, w_hh=w_hh, b_hh=b_hh, w_hr=w_hr)
    if dtype is not torch.float32:
        raise TypeError(f"recurrent(): operands must be float32, got {dtype}")
    check_mantissa_bits("recurrent", how.mantissa_bits)


def _recurrent(
    gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None, *numbers: Any
) -> tuple[Tensor, ...]:
    how = _How(*numbers)
    _check(gates, h0, c0, w_hh, b_hh, w_hr, how)
    layer = _Layer(gates, how)
    h, c = h0.clone(), c0.clone()
    kept = _empty_outputs(gates, h0, c0, w_hh)
    out, from_hidden, hidden, cell = kept
    for rows in how.steps():
        n = rows.stop - rows.start
        hidden[rows], cell[rows] = h[:n], c[:n]
        hidden_gates = layer.linear(h[:n], w_hh, b_hh)
        from_hidden[rows] = hidden_gates
        *_, c_new, y = layer.cell.values(Rows(gates[rows], hidden_gates, h[:n], c[:n]))
        h[:n] = y if w_hr is None else layer.linear(y, w_hr, None)
        c[:n] = c_new
        out[rows] = h[:n]
    return out, h, c, from_hidden, hidden, cell


def _empty_outputs(gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output, gates from the hidden state, hidden and cell state before each step."""
    rows = gates.shape[0]
    widths = h0.shape[1], w_hh.shape[0], h0.shape[1], c0.shape[1]
    out, from_hidden, hidden, cell = (gates.new_empty(rows, width) for width in widths)
    return out, from_hidden, hidden, cell


def _recurrent_fake(
    gates: Tensor, h0: Tensor, c0: Tensor, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None, *numbers: Any
) -> tuple[Tensor, ...]:
    _check(gates, h0, c0, w_hh, b_hh, w_hr, _How(*numbers))
    out, *kept = _empty_outputs(gates, h0, c0, w_hh)
    return out, h0.new_empty(h0.shape), c0.new_empty(c0.shape), *kept


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    gates, _, _, w_hh, b_hh, w_hr, *ctx.numbers = inputs
    ctx.has_bias = b_hh is not None
    ctx.save_for_backward(gates, w_hh, w_hr, *output[3:])
    ctx.mark_non_differentiable(*output[3:])


def _backward(ctx: Any, by_out: Tensor, by_h: Tensor, by_c: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    _, _, w_hr, *_ = ctx.saved_tensors
    grads = recurrent_grad(by_out, by_h, by_c, *ctx.saved_tensors, *ctx.numbers)
    by_gates, by_h0, by_c0, by_w_hh, by_b_hh, by_w_hr = grads
    optional = (by_b_hh if ctx.has_bias else None, by_w_hr if w_hr is not None else None)
    return by_gates, by_h0, by_c0, by_w_hh, *optional, *(None for _ in ctx.numbers)


def _recurrent_grad(
    by_out: Tensor, by_h: Tensor, by_c: Tensor, gates: Tensor, w_hh: Tensor, w_hr: Tensor | None,
    from_hidden: Tensor, hidden: Tensor, cell: Tensor, *numbers: Any,
) -> tuple[Tensor, ...]:  # fmt: skip
    how = _How(*numbers)
    layer = _Layer(gates, how)
    every = Rows(gates, from_hidden, hidden, cell)
    values = layer.cell.values(every)
    dh, dc = by_h.clone(), by_c.clone()
    by_gates, by_hidden_gates, by_hidden = (
        torch.empty_like(gates),
        torch.empty_like(from_hidden),
        torch.empty_like(hidden),
    )
    for rows in reversed(how.steps()):
        n = rows.stop - rows.start
        step, step_values = Rows(*(x[rows] for x in every)), tuple(x[rows] for x in values)
        by_new = by_out[rows] + dh[:n]
        by_hidden[rows] = by_new
        by_y = by_new if w_hr is None else layer.by_input(by_new, step_values[-1], w_hr)
        found = layer.cell.grads(step, step_values, by_y, dc[:n])
        by_gates[rows], by_hidden_gates[rows] = found.from_input, found.from_hidden
        through_gates = layer.by_input(found.from_hidden, step.hidden, w_hh)
        dh[:n] = through_gates if found.hidden is None else found.hidden + through_gates
        dc[:n] = found.cell
    by_w_hr = by_gates.new_empty(0) if w_hr is None else layer.by_weight(by_hidden, values[-1], w_hr)
    by_w_hh = layer.by_weight(by_hidden_gates, hidden, w_hh)
    return by_gates, dh, dc, by_w_hh, layer.backend.sum(by_hidden_gates, (0,)), by_w_hr


def _recurrent_grad_fake(
    by_out: Tensor, by_h: Tensor, by_c: Tensor, gates: Tensor, w_hh: Tensor, w_hr: Tensor | None, *rest: Any
) -> tuple[Tensor, ...]:
    shapes = gates.shape, by_h.shape, by_c.shape, w_hh.shape, w_hh.shape[:1], (0,) if w_hr is None else w_hr.shape
    return tuple(gates.new_empty(shape) for shape in shapes)


_NUMBERS = (
    "int kind, int[] sizes, bool reverse, int mantissa_bits, int offset, bool exact_left, bool exact_right, "
    "bool exact_cell"
)

recurrent_grad: Operation = define(
    "recurrent_grad(Tensor by_out, Tensor by_h, Tensor by_c, Tensor gates, Tensor w_hh, Tensor? w_hr, "
    f"Tensor from_hidden, Tensor hidden, Tensor cell, {_NUMBERS}) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _recurrent_grad,
    _recurrent_grad_fake,
)
"""Derivatives by gates, h0, c0, w_hh, b_hh (also where there is none) and w_hr (empty where there is none)."""

recurrent: Operation = define(
    f"recurrent(Tensor gates, Tensor h0, Tensor c0, Tensor w_hh, Tensor? b_hh, Tensor? w_hr, {_NUMBERS}) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _recurrent,
    _recurrent_fake,
    setup=_setup,
    backward=_backward,
)
"""Output ``(rows, hidden)``, last hidden and cell states, and what the derivative needs.

``gates`` are those from the input, bias included, ``(rows, count * cells)``; h0, c0: ``(batch, hidden)``, ``(batch,
cells)``; w_hh: ``(count * cells, hidden)``; b_hh: ``(count * cells,)``; w_hr, the projection: ``(hidden, cells)``, or
None where hidden = cells. Cells without a cell state pass c0 through."""
