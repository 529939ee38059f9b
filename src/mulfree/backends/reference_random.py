"""Random words in torch integer operations: ``numerics/random.py`` on a whole tensor."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.numerics.formats import (
    RANDOM_LANES,
    THREEFRY_INJECTION,
    THREEFRY_PARITY,
    THREEFRY_ROTATIONS,
    THREEFRY_ROUNDS,
)

_WORD = 0xFFFFFFFF


def random_words(seed: Tensor, count: int, first: int = 0) -> Tensor:
    """The words of ``count`` elements from number ``first`` on, for the 64-bit ``seed`` (one int64 element)."""
    seed = seed.reshape(())
    skipped, start = divmod(first, 2 * RANDOM_LANES)
    groups = -(-(start + count) // (2 * RANDOM_LANES))
    blocks = torch.arange(skipped * RANDOM_LANES, (skipped + groups) * RANDOM_LANES, device=seed.device)
    words = _threefry((seed & _WORD, seed >> 32 & _WORD), (blocks & _WORD, blocks >> 32))
    by_group = torch.stack([x.view(groups, RANDOM_LANES) for x in words], 1)
    return by_group.flatten()[start : start + count]


def _threefry(key: tuple[Tensor, Tensor], counter: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    keys = (*key, THREEFRY_PARITY ^ key[0] ^ key[1])
    a, b = (counter[0] + key[0]) & _WORD, (counter[1] + key[1]) & _WORD
    for number in range(THREEFRY_ROUNDS):
        rotation = THREEFRY_ROTATIONS[number % len(THREEFRY_ROTATIONS)]
        a = (a + b) & _WORD
        b = (b << rotation | b >> (32 - rotation)) & _WORD ^ a
        injection, rest = divmod(number + 1, THREEFRY_INJECTION)
        if rest == 0:
            a = (a + keys[injection % 3]) & _WORD
            b = (b + keys[(injection + 1) % 3] + injection) & _WORD
    return a, b
