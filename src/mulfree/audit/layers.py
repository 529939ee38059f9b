"""The work of layers: convolutions, attention, recurrent networks, norms of channels and windows.

Terms that lie in the padding of a convolution are none (docs/spec.md, section 6) and are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, Final

from torch import Tensor

from mulfree.audit.entries import ADDITION, AFFINE, ENTRIES, PRODUCT, ROWS
from mulfree.audit.work import Work
from mulfree.ops.attention import DROP_ALL
from mulfree.ops.cells import GRU, LSTM, RNN_RELU, RNN_TANH

Arguments = Mapping[str, Any]
Formula = Callable[[Arguments, Any], Work]


@lru_cache(maxsize=256)
def _meetings(positions: int, taps: int, size: int, stride: int, padding: int, dilation: int) -> int:
    """Pairs of a position and a tap of a kernel that meet an element, along one dimension."""
    starts = range(-padding, positions * stride - padding, stride)
    return sum(0 <= start + tap * dilation < size for start in starts for tap in range(taps))


def _convolved(arguments: Arguments, dense: Tensor, sparse: Tensor, *shapes: Sequence[int]) -> Work:
    """Work of the sums of products of a convolution from the channels of ``sparse`` to those of ``dense``.

    Args:
        dense: a tensor with the batch and the channels of the convolution's result.
        sparse: one with the channels of its input.
        shapes: positions of its result, taps of its kernel, size of its input, each by spatial dimension.
    """
    settings = (*shapes, arguments["stride"], arguments["padding"], arguments["dilation"])
    meetings = prod(_meetings(*map(int, along)) for along in zip(*settings, strict=True))
    channels = int(dense.shape[1]) * int(sparse.shape[1]) // int(arguments["groups"])
    return PRODUCT.times(int(dense.shape[0]) * channels * meetings)


def _with_bias(work: Work, arguments: Arguments, result: Tensor) -> Work:
    return work if arguments["bias"] is None else work + ADDITION.times(result.numel())


def _convolution(arguments: Arguments, result: Any) -> Work:
    x, kernel = arguments["x"], arguments["weight"].shape[2:]
    return _with_bias(_convolved(arguments, result, x, result.shape[2:], kernel, x.shape[2:]), arguments, result)


def _transposed(arguments: Arguments, result: Any) -> Work:
    x, kernel = arguments["x"], arguments["weight"].shape[2:]
    return _with_bias(_convolved(arguments, x, result, x.shape[2:], kernel, result.shape[2:]), arguments, result)


def _of_weight(arguments: Arguments, result: Any) -> Work:
    dense, x = arguments["dense"], arguments["x"]
    return _convolved(arguments, dense, x, dense.shape[2:], result.shape[2:], x.shape[2:])


def _slope(arguments: Arguments, result: Any) -> Work:
    """By the input of a transposed convolution, which has the positions."""
    grad, kernel = arguments["grad"], arguments["weight"].shape[2:]
    return _convolved(arguments, result, grad, result.shape[2:], kernel, grad.shape[2:])


def _transposed_slope(arguments: Arguments, result: Any) -> Work:
    grad, kernel = arguments["grad"], arguments["weight"].shape[2:]
    return _convolved(arguments, grad, result, grad.shape[2:], kernel, result.shape[2:])


def _batch_norm(name: str) -> Formula:
    """Layer norm of each channel as one row."""

    def work(arguments: Arguments, result: Any) -> Work:
        x, (entry, row) = arguments["x"], ROWS[name]
        if arguments["weight"] is not None:
            entry += AFFINE[name]
        return entry.times(x.numel()) + row.times(int(x.shape[1])) if x.numel() else Work()

    return work


def _scores(arguments: Arguments, heads: int) -> tuple[Work, Work, int]:
    """Work of the scores and of their softmax and dropout, and the number of scores."""
    query, key = arguments["query"], arguments["key"]
    queries = heads * int(query.shape[-2])
    count = queries * int(key.shape[-2])
    scores = PRODUCT.times(int(query.shape[-1]))
    if arguments["score_offset"] != arguments["offset"]:  # a scale inside of the product
        scores += Work(replaced=1)
    if arguments["causal"] or arguments["mask"] is not None:
        scores += ADDITION
    entry, row = ROWS["softmax"]
    return scores.times(count), (entry + _dropped(arguments)).times(count) + row.times(queries), count


def _dropped(arguments: Arguments) -> Work:
    drops = arguments["seed"] is not None and arguments["threshold"] != DROP_ALL
    return ENTRIES["dropout"] if drops else Work()


def _attention(arguments: Arguments, result: Any) -> Work:
    out = result[0]
    scores, weights, count = _scores(arguments, prod(map(int, out.shape[:-2])))
    return scores + weights + PRODUCT.times(count * int(out.shape[-1]))


def _attention_grad(arguments: Arguments, result: Any) -> Work:
    """Scores, unless they were kept, and weights are computed again."""
    scores, work, count = _scores(arguments, prod(map(int, arguments["grad"].shape[:-2])))
    by_query, by_key, by_value, by_mask = arguments["needs"]
    if not arguments["keep"]:
        work += scores
    widths = int(arguments["value"].shape[-1]) if by_value else 0
    if by_query or by_key or by_mask:
        entry, row = ROWS["softmax_grad"]
        work += (entry + _dropped(arguments)).times(count) + row.times(count // max(int(arguments["key"].shape[-2]), 1))
        widths += int(arguments["value"].shape[-1]) + int(arguments["query"].shape[-1]) * (int(by_query) + int(by_key))
    return work + PRODUCT.times(count * widths)


def _parts(products: int = 0, additions: int = 0, **entries: int) -> Work:
    total = ENTRIES["mul"].times(products) + ADDITION.times(additions)
    return sum((ENTRIES[name].times(count) for name, count in entries.items()), total)


# Work of one cell in one step beside the matrix products, and of its derivative.
_CELLS: Final[Mapping[int, tuple[Work, Work]]] = {
    LSTM: (_parts(3, 5, sigmoid=3, tanh=2), _parts(6, 1, sigmoid_grad=3, tanh_grad=2)),
    GRU: (_parts(2, 5, sigmoid=2, tanh=1), _parts(4, 3, sigmoid_grad=2, tanh_grad=1)),
    RNN_TANH: (_parts(0, 1, tanh=1), _parts(tanh_grad=1)),
    RNN_RELU: (_parts(0, 1), Work()),
}


def _recurrent(arguments: Arguments, result: Any) -> Work:
    gates, w_hh, w_hr = arguments["gates"], arguments["w_hh"], arguments["w_hr"]
    rows, cells = int(gates.shape[0]), int(arguments["c0"].shape[1])
    work = PRODUCT.times(rows * w_hh.numel()) + _CELLS[arguments["kind"]][0].times(rows * cells)
    if arguments["b_hh"] is not None:
        work += ADDITION.times(gates.numel())
    return work if w_hr is None else work + PRODUCT.times(rows * w_hr.numel())


def _recurrent_grad(arguments: Arguments, result: Any) -> Work:
    """The values of the cells are computed again; each matrix has two derivatives."""
    gates, w_hh, w_hr, hidden = (arguments[name] for name in ("gates", "w_hh", "w_hr", "hidden"))
    rows, cells = int(gates.shape[0]), int(arguments["cell"].shape[1])
    values, derivative = _CELLS[arguments["kind"]]
    work = PRODUCT.times(2 * rows * w_hh.numel()) + (values + derivative).times(rows * cells)
    work += ADDITION.times(gates.numel() + hidden.numel())  # the bias, and the gradient from the next step
    return work if w_hr is None else work + PRODUCT.times(2 * rows * w_hr.numel())


def _window_sum(arguments: Arguments, result: Any) -> Work:
    lengths = [int(stop) - int(start) for start, stop in zip(arguments["starts"], arguments["stops"], strict=True)]
    sizes = [int(size) for size in arguments["sizes"]]
    terms = [sum(lengths[sum(sizes[:i]) : sum(sizes[: i + 1])]) for i in range(len(sizes))]
    return ADDITION.times(prod(map(int, arguments["x"].shape[: -len(sizes) or None])) * prod(terms))


LAYERS: Final[Mapping[str, Formula]] = {
    "convolution": _convolution,
    "convolution_slope": _slope,
    "convolution_transposed": _transposed,
    "convolution_transposed_slope": _transposed_slope,
    "convolution_weight": _of_weight,
    "convolution_weight_slope": _of_weight,
    "batch_norm": _batch_norm("layer_norm"),
    "batch_norm_grad": _batch_norm("layer_norm_grad"),
    "attention": _attention,
    "attention_grad": _attention_grad,
    "recurrent": _recurrent,
    "recurrent_grad": _recurrent_grad,
    "window_sum": _window_sum,
}
