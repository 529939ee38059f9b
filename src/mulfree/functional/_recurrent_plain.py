"""Recurrent networks in plain torch operations, step by step, for a mode that replaces each of them by its group.

The signatures are those of ``mulfree.functional.lstm`` and its kin without their options, the formulas the same. Run
without a mode they are ordinary torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout, linear

from mulfree.functional._recurrent import States, bound, layers
from mulfree.ops.cells import GRU, LSTM, RNN_RELU, RNN_TANH


def _step(kind: int, from_input: Tensor, from_hidden: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Output of the cell and its state, from the gates."""
    if kind == GRU:
        (r_x, z_x, n_x), (r_h, z_h, n_h) = from_input.chunk(3, -1), from_hidden.chunk(3, -1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        return (h - n) * z + n, c
    gates = from_input + from_hidden
    if kind == LSTM:
        i, f, g, o = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    return torch.relu(gates) if kind == RNN_RELU else torch.tanh(gates), c


def _direction(
    kind: int, rows: Tensor, h: Tensor, c: Tensor, weights: list[Tensor | None], sizes: tuple[int, ...], reverse: bool
) -> States:
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    assert w_ih is not None
    assert w_hh is not None
    steps = list(itertools.pairwise([0, *itertools.accumulate(sizes)]))
    gates = linear(rows, w_ih, b_ih)
    outputs = []
    for start, end in reversed(steps) if reverse else steps:
        n = end - start
        y, c_new = _step(kind, gates[start:end], linear(h[:n], w_hh, b_hh), h[:n], c[:n])
        y = y if w_hr is None else linear(y, w_hr)
        outputs.append(y)
        h, c = (torch.cat([new, old[n:]]) for new, old in ((y, h), (c_new, c)))
    return torch.cat(outputs[::-1] if reverse else outputs), h, c


def lstm(*args: Any, **kwargs: Any) -> States:
    """``torch.lstm``."""
    return layers(LSTM, bound("lstm", args, kwargs)[0], _direction, dropout)


def _states_only(kind: int, name: str) -> Callable[..., tuple[Tensor, Tensor]]:
    def function(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return layers(kind, bound(name, args, kwargs)[0], _direction, dropout)[:2]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``torch.{name}``."
    return function


gru, rnn_tanh, rnn_relu = (
    _states_only(kind, name) for kind, name in ((GRU, "gru"), (RNN_TANH, "rnn_tanh"), (RNN_RELU, "rnn_relu"))
)


def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``torch.lstm_cell``."""
    h, c = hx
    return _step(LSTM, linear(input, w_ih, b_ih), linear(h, w_hh, b_hh), h, c)


def _state_cell(kind: int, name: str) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        hx: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Tensor:
        return _step(kind, linear(input, w_ih, b_ih), linear(hx, w_hh, b_hh), hx, hx)[0]

    function.__name__ = function.__qualname__ = f"{name}_cell"
    function.__doc__ = f"``torch.{name}_cell``."
    return function


gru_cell, rnn_tanh_cell, rnn_relu_cell = (
    _state_cell(kind, name) for kind, name in ((GRU, "gru"), (RNN_TANH, "rnn_tanh"), (RNN_RELU, "rnn_relu"))
)
