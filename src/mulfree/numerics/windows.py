"""The law on windows: the order of a pooled sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from mulfree.numerics.rows import total


def window_total(
    entry: Callable[[tuple[int, ...]], int], window: Sequence[tuple[int, int]], widths: Sequence[int]
) -> int:
    """Sum of the entries at the positions of ``window``, a range ``(start, stop)`` for each dimension.

    Every window of an operation counts its terms in row-major order within a box of the same ``widths``, those of the
    largest one; what a smaller window lacks is +0.
    """
    terms = []
    for offsets in product(*map(range, widths)):
        position = tuple(start + offset for (start, _), offset in zip(window, offsets, strict=True))
        inside = all(p < stop for p, (_, stop) in zip(position, window, strict=True))
        terms.append(entry(position) if inside else 0)
    return total(terms)
