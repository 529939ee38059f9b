"""Recurrent networks, with the signatures of ``torch.lstm`` and its kin.

Each layer is one ``linear`` over all time steps and then, step by step, one ``linear`` of the hidden state and the
gates (spec 7). ``derivative`` is that of the products and, if one choice, of the cells' own functions; a pair is for
the products only. ``cell_derivative`` is that of the cells where it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Unpack

import torch
from torch import Tensor

from mulfree.functional._attention import dropout as dropped
from mulfree.functional._options import Derivative, ProductOptions, are_exact, is_exact, offset, precision
from mulfree.functional._products import linear
from mulfree.ops.cells import CELLS, GRU, LSTM, RNN_RELU, RNN_TANH
from mulfree.ops.checks import check_float
from mulfree.ops.recurrent import recurrent

_TAIL = ("has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", "hx", "params", *_TAIL, "batch_first")
_PACKED = ("data", "batch_sizes", "hx", "params", *_TAIL)


States = tuple[Tensor, Tensor, Tensor]
"""Output, last hidden state, last cell state."""

Direction = Callable[[int, Tensor, Tensor, Tensor, list[Tensor | None], tuple[int, ...], bool], States]
"""One layer in one direction: kind, rows of the input, h0, c0, weights as in ``_parameters``, sizes, reversed."""


class RecurrentOptions(ProductOptions, total=False):
    """Keyword arguments of the recurrent functions."""

    cell_derivative: Derivative | None


def lstm(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """``torch.lstm``, in both forms.

    Padded: ``lstm(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`` with input
    ``(steps, batch, features)``, or batch first. Packed: ``lstm(data, batch_sizes, hx, params, has_biases, num_layers,
    dropout, train, bidirectional)`` with the data and batch sizes of a ``PackedSequence``. ``hx`` is h0 and c0,
    ``(layers * directions, batch, size)`` each; ``params`` the flat list of weights of ``torch.nn.LSTM``, projections
    included. Also ``derivative``, ``cell_derivative``, ``mantissa_bits``, ``compensation``.

    ``i, f, g, o = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)``; ``c' = mul(f, c) + mul(i, g)`` after sigmoid
    (i, f, o) and tanh (g); ``h' = mul(o, tanh(c'))``, with a projection ``linear(h', w_hr)``.

    Returns:
        Output, last hidden states, last cell states; half precision is rounded once.

    Raises:
        RuntimeError: shapes or counts that do not agree.
    """
    given, options = bound("lstm", args, kwargs)
    return layers(LSTM, given, partial(_direction, options=options), dropped)


def _states_only(kind: int, name: str, formula: str) -> Callable[..., tuple[Tensor, Tensor]]:
    def function(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        given, options = bound(name, args, kwargs)
        return layers(kind, given, partial(_direction, options=options), dropped)[:2]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``torch.{name}``: {formula}. Forms and options as ``lstm``; ``hx`` is h0, no cell states."
    return function


gru = _states_only(
    GRU,
    "gru",
    "``r, z`` are sigmoids of the sums of ``linear(x, w_ih, b_ih)`` and ``linear(h, w_hh, b_hh)``, "
    "``n = tanh(x_n + mul(r, h_n))``, ``h' = mul(h - n, z) + n``",
)
rnn_tanh = _states_only(RNN_TANH, "rnn_tanh", "``h' = tanh(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))``")
rnn_relu = _states_only(RNN_RELU, "rnn_relu", "``h' = relu(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))``")


def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    **options: Unpack[RecurrentOptions],
) -> tuple[Tensor, Tensor]:
    """``torch.lstm_cell``: one step of ``lstm``; ``input`` is ``(batch, features)``."""
    return _cell(LSTM, input, hx[0], hx[1], (w_ih, w_hh, b_ih, b_hh), options)


def _state_cell(kind: int, name: str) -> Callable[..., Tensor]:
    def function(
        input: Tensor,
        hx: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
        **options: Unpack[RecurrentOptions],
    ) -> Tensor:
        return _cell(kind, input, hx, hx.detach(), (w_ih, w_hh, b_ih, b_hh), options)[0]

    function.__name__ = function.__qualname__ = f"{name}_cell"
    function.__doc__ = f"``torch.{name}_cell``: one step of ``{name}``; ``input`` is ``(batch, features)``."
    return function


gru_cell, rnn_tanh_cell, rnn_relu_cell = (
    _state_cell(kind, name) for kind, name in ((GRU, "gru"), (RNN_TANH, "rnn_tanh"), (RNN_RELU, "rnn_relu"))
)


def bound(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], RecurrentOptions]:
    """The arguments by name, and the options."""
    keys = RecurrentOptions.__annotations__
    options: Any = {key: value for key, value in kwargs.items() if key in keys}
    named = {key: value for key, value in kwargs.items() if key not in keys}
    # In torch's packed form a tensor of batch sizes comes before the states.
    third_is_state = isinstance(args[1], Tensor) if name == "lstm" and len(args) > 1 else False
    if name != "lstm" and len(args) > 2:
        third_is_state = isinstance(args[2], Tensor)
    names = _PACKED if third_is_state or "batch_sizes" in named or "data" in named else _PADDED
    if len(args) > len(names):
        raise TypeError(f"{name}() takes {len(names)} arguments, got {len(args)}")
    found = dict(zip(names, args, strict=False))
    if found.keys() & named.keys() or (found | named).keys() != set(names):
        raise TypeError(f"{name}() takes {', '.join(names)}, got {', '.join([*found, *named])}")
    return found | named, options


def layers(
    kind: int, given: dict[str, Any], direction: Direction, dropout: Callable[[Tensor, float], Tensor]
) -> States:
    """All layers and directions, each by ``direction``, from the arguments by name; computed in float32."""
    packed = "data" in given
    x: Tensor = given["data"] if packed else given["input"]
    dtype = check_float("recurrent layers", "data" if packed else "input", x)
    states = list(given["hx"]) if kind == LSTM else [given["hx"], given["hx"].detach()]
    directions: int
    per_layer, directions = _parameters(kind, given)
    if packed:
        rows, sizes = x, tuple(given["batch_sizes"].tolist())
    else:
        if x.dim() != 3:
            raise RuntimeError(f"recurrent layers: 'input' must have 3 dimensions, got {tuple(x.shape)}")
        steps_first = x.transpose(0, 1) if given["batch_first"] else x
        rows, sizes = steps_first.flatten(0, 1), (steps_first.shape[1],) * steps_first.shape[0]
    if not sizes:
        raise RuntimeError("recurrent layers: the sequence must have at least one step")
    _check_states(kind, states, len(per_layer), sizes[0], x)
    h0, c0 = (state.float() for state in states)
    rows, last = rows.float(), []
    for place, weights in enumerate(per_layer):
        if place % directions == 0 and place and given["train"] and given["dropout"]:
            rows = dropout(rows, given["dropout"])
        if place % directions == 0:
            source, outputs = rows, []
        one = _widened(weights, dtype)
        output, *state = direction(kind, source, h0[place], c0[place], one, sizes, place % directions == 1)
        outputs.append(output)
        last.append(state)
        if place % directions == directions - 1:
            rows = outputs[0] if directions == 1 else torch.cat(outputs, 1)
    if not packed:
        rows = rows.unflatten(0, (len(sizes), sizes[0]))
        rows = rows.transpose(0, 1) if given["batch_first"] else rows
    h, c = (torch.stack(group).to(dtype) for group in zip(*last, strict=True))
    return rows.to(dtype), h, c


def _parameters(kind: int, given: dict[str, Any]) -> tuple[list[list[Tensor | None]], int]:
    """w_ih, w_hh, b_ih, b_hh, w_hr (None where there is none) of every layer and direction; directions."""
    params, directions = list(given["params"]), 2 if given["bidirectional"] else 1
    stacked: int = given["num_layers"]
    count = stacked * directions
    basic = 4 if given["has_biases"] else 2
    projected = kind == LSTM and len(params) == count * (basic + 1)
    if len(params) != count * (basic + projected):
        raise RuntimeError(f"recurrent layers: expected {count * basic} parameters, got {len(params)}")
    groups = [params[i : i + basic + projected] for i in range(0, len(params), basic + projected)]
    return [
        [*group[:2], *(group[2:4] if basic == 4 else (None, None)), group[basic] if projected else None]
        for group in groups
    ], directions


def _widened(weights: Sequence[Tensor | None], dtype: torch.dtype) -> list[Tensor | None]:
    """The weights as float32; they must be of the input's ``dtype``."""
    for w in weights:
        if w is not None and w.dtype is not dtype:
            raise TypeError(f"recurrent layers: weights must be {dtype} like the input, got {w.dtype}")
    return [None if w is None else w.float() for w in weights]


def _check_states(kind: int, states: list[Tensor], count: int, batch: int, x: Tensor) -> None:
    for name, state in zip(("h0", "c0") if kind == LSTM else ("h0",), states, strict=False):
        if state.dim() != 3 or state.shape[:2] != (count, batch):
            raise RuntimeError(f"recurrent layers: {name} must be ({count}, {batch}, size), got {tuple(state.shape)}")
        if state.dtype is not x.dtype:
            raise TypeError(f"recurrent layers: {name} must be {x.dtype} like the input, got {state.dtype}")


def _direction(
    kind: int,
    rows: Tensor,
    h0: Tensor,
    c0: Tensor,
    weights: list[Tensor | None],
    sizes: tuple[int, ...],
    reverse: bool,
    options: RecurrentOptions,
) -> States:
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    assert w_ih is not None
    assert w_hh is not None
    gates_of: int = CELLS[kind][1]
    cells = c0.shape[1]
    if w_ih.shape[0] != gates_of * cells or tuple(w_hh.shape) != (gates_of * cells, h0.shape[1]):
        raise RuntimeError(
            f"recurrent layers: weights must have {gates_of} * {cells} rows and w_hh {h0.shape[1]} columns, got "
            f"{tuple(w_ih.shape)} and {tuple(w_hh.shape)}"
        )
    cell_derivative = options.get("cell_derivative")
    products: ProductOptions = {key: value for key, value in options.items() if key != "cell_derivative"}  # type: ignore[assignment]
    derivative = products.get("derivative", "approximate")
    if cell_derivative is None:
        cell_derivative = derivative if isinstance(derivative, str) else "approximate"
    found = recurrent(
        linear(rows, w_ih, b_ih, **products),
        h0,
        c0,
        w_hh,
        b_hh,
        w_hr,
        kind,
        sizes,
        reverse,
        precision(products.get("mantissa_bits", 23)),
        offset(products.get("compensation")),
        *are_exact(derivative),
        is_exact(cell_derivative),
    )
    return found[0], found[1], found[2]


def _cell(
    kind: int, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor | None, ...], options: RecurrentOptions
) -> tuple[Tensor, Tensor]:
    batched = x.dim() == 2
    x, h, c = (t if batched else t.unsqueeze(0) for t in (x, h, c))
    wide = _widened([*weights, None], x.dtype)
    if check_float("recurrent cells", "input", x) is not h.dtype:
        raise TypeError(f"recurrent cells: the states must be {x.dtype} like the input, got {h.dtype}")
    _, *states = _direction(kind, x.float(), h.float(), c.float(), wide, (x.shape[0],), False, options)
    h, c = (state.to(x.dtype) if batched else state.squeeze(0).to(x.dtype) for state in states)
    return h, c
