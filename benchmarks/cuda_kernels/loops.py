"""The unrolled loops of a product among a kernel's instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mulfree.audit.sass import Block

_MIN_MAX = ("VIADDMNMX", "VIMNMX", "IMNMX")


@dataclass(frozen=True)
class Loop:
    """An unrolled loop over ``products`` products, one float addition each."""

    way: str
    products: int
    kinds: Counter[str]

    @property
    def instructions(self) -> int:
        return sum(self.kinds.values())

    @property
    def per_product(self) -> float:
        return self.instructions / self.products


def loops(blocks: Iterable[Block], entries: int) -> list[Loop]:
    """The fast and the clamped loop of a product kernel whose threads have ``entries`` entries each: of the blocks with
    an addition for every entry those with the most, without and with minima or maxima."""
    found: dict[str, Loop] = {}
    for block in blocks:
        kinds = Counter(instruction.kind for instruction in block)
        products = kinds["FADD"]
        if products < entries:
            continue
        way = "clamped" if 2 * sum(kinds[name] for name in _MIN_MAX) >= products else "fast"
        if way not in found or found[way].products < products:
            found[way] = Loop(way, products, kinds)
    return [found[way] for way in ("fast", "clamped") if way in found]
