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


def transfers(blocks: Iterable[Block], words: tuple[int, int]) -> int | None:
    """Instructions of a thread that bring a slice of two matrices, so many words of each, from memory to shared memory
    in the fast way: a block that asks for all of them, and one for each operand that encodes and stores what has come.

    None if there are no such blocks: then loads are waited for before others are made.
    """
    found = [(block, Counter(instruction.base for instruction in block)) for block in blocks]
    fetches = [len(block) for block, kinds in found if kinds["LDG"] == sum(words) and not kinds["STS"]]
    stores = [(kinds["STS"], len(block)) for block, kinds in found if kinds["SEL"] >= kinds["STS"] > 0]
    of_operands = [[size for count, size in stores if count == wanted] for wanted in words]
    if not fetches or not all(of_operands):
        return None
    left, right = of_operands
    both = left[:1] + left[1:2] if words[0] == words[1] else left[:1] + right[:1]
    return min(fetches) + sum(both) if len(both) == len(words) else None
