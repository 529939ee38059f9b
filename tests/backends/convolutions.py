"""The law on convolutions, entry by entry from its definition in docs/spec.md, section 6."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from mulfree.backends.reference_formats import shorten, widen
from mulfree.numerics import rows, scalar
from mulfree.numerics.convolution import Window

Index = tuple[int, ...]
SKIPPED = None


def indices(sizes: Sequence[int]) -> Iterator[Index]:
    return product(*map(range, sizes))


class Words:
    """A tensor as narrowed words by index; None outside."""

    def __init__(self, x: Tensor, mantissa_bits: int) -> None:
        self.shape = tuple(x.shape)
        flat = widen(x).flatten().tolist()
        self.words = {at: scalar.narrow(word, mantissa_bits) for at, word in zip(indices(x.shape), flat, strict=True)}

    def __getitem__(self, at: Index) -> int | None:
        return self.words.get(at, SKIPPED)


def element(window: Window, position: Index, tap: Index) -> Index:
    """What a tap of a convolution's patch reads; outside the input in the padding."""
    return tuple(
        p * s - a + t * d
        for p, s, a, t, d in zip(position, window.stride, window.padding, tap, window.dilation, strict=True)
    )


def sources(window: Window, position: Index, kernel: Sequence[int]) -> Iterator[tuple[Index, Index]]:
    """The taps of a transposed convolution that meet a whole element, in ascending order, and that element."""
    for tap in indices(kernel):
        ahead = [i + a - t * d for i, a, t, d in zip(position, window.padding, tap, window.dilation, strict=True)]
        if all(distance % stride == 0 for distance, stride in zip(ahead, window.stride, strict=True)):
            yield tap, tuple(distance // stride for distance, stride in zip(ahead, window.stride, strict=True))


Terms = list[tuple[int | None, int | None]]


def total(terms: Terms, point: int | None, offset: int, first_is_grad: bool = True) -> int:
    """The sum of products, or of the slopes of products of ``point`` with one of the two times the other."""
    entries = []
    for first, second in terms:
        if first is SKIPPED or second is SKIPPED:
            entries.append(0)
        elif point is None:
            entries.append(scalar.mul(first, second, offset))
        elif first_is_grad:
            entries.append(scalar.mul_grad(first, point, second, offset))
        else:
            entries.append(scalar.mul_grad(second, point, first, offset))
    return rows.accumulate(entries)


def _result(shape: Sequence[int], entry: Callable[[Index], int], bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    added = None if bias is None else widen(bias).tolist()
    words = [entry(at) if added is None else scalar.add(entry(at), added[at[1]]) for at in indices(shape)]
    return shorten(torch.tensor(words, dtype=torch.int64).view(list(shape)), dtype)


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, size: Sequence[int], slope: Tensor | None = None,
    mantissa_bits: int = 23, offset: int = 0,
) -> Tensor:  # fmt: skip
    data, kernel = Words(x, mantissa_bits), Words(weight, mantissa_bits)
    points = None if slope is None else Words(slope, mantissa_bits)
    out, per_group, *taps = weight.shape

    def entry(at: Index) -> int:
        n, o, *position = at
        first = o // (out // window.groups) * per_group
        terms = [
            (data[(n, first + c, *element(window, tuple(position), tap))], kernel[(o, c, *tap)])
            for c in range(per_group)
            for tap in indices(taps)
        ]
        return total(terms, None if points is None else points[at], offset)

    return _result((x.shape[0], out, *size), entry, bias, x.dtype)


def convolve_transposed(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, size: Sequence[int], slope: Tensor | None = None,
    mantissa_bits: int = 23, offset: int = 0,
) -> Tensor:  # fmt: skip
    data, kernel = Words(x, mantissa_bits), Words(weight, mantissa_bits)
    points = None if slope is None else Words(slope, mantissa_bits)
    channels, per_group, *taps = weight.shape
    channels //= window.groups

    def entry(at: Index) -> int:
        n, o, *position = at
        group, inner = divmod(o, per_group)
        terms = [
            (data[(n, c, *where)], kernel[(c, inner, *tap)])
            for c in range(group * channels, (group + 1) * channels)
            for tap, where in sources(window, tuple(position), taps)
        ]
        return total(terms, None if points is None else points[at], offset)

    return _result((x.shape[0], per_group * window.groups, *size), entry, bias, x.dtype)


def convolve_weight(
    dense: Tensor, x: Tensor, window: Window, kernel: Sequence[int], slope: Tensor | None = None,
    dense_is_grad: bool = True, mantissa_bits: int = 23, offset: int = 0,
) -> Tensor:  # fmt: skip
    left, right = Words(dense, mantissa_bits), Words(x, mantissa_bits)
    points = None if slope is None else Words(slope, mantissa_bits)
    out, per_group = dense.shape[1], x.shape[1] // window.groups

    def entry(at: Index) -> int:
        o, c, *tap = at
        channel = o // (out // window.groups) * per_group + c
        terms = [
            (left[(n, o, *position)], right[(n, channel, *element(window, position, tuple(tap)))])
            for n in range(len(x))
            for position in indices(dense.shape[2:])
        ]
        return total(terms, None if points is None else points[at], offset, dense_is_grad)

    return _result((out, per_group, *kernel), entry, None, x.dtype)


def positions(window: Window, size: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """Spatial sizes of a convolution's result with the same padding at both ends."""
    return [
        (n + 2 * a - d * (k - 1) - 1) // s + 1
        for n, a, d, k, s in zip(size, window.padding, window.dilation, kernel, window.stride, strict=True)
    ]
