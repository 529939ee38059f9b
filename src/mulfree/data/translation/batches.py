"""Batches of pairs of similar length with at most so many tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from mulfree.data.translation.corpus import Pairs
from mulfree.data.translation.dictionary import EOS, PAD


def plan(pairs: Pairs, max_tokens: int, seed: int) -> list[list[int]]:
    """Indices of the pairs of each batch, the batches in order of length.

    Pairs are sorted by their longer side, then the other, equals in an order drawn by ``seed``; a batch takes the next
    ones while its number of pairs times its greatest length stays within ``max_tokens``.

    Raises:
        ValueError: a sentence alone is longer than ``max_tokens``.
    """
    order = list(range(len(pairs)))
    random.Random(seed).shuffle(order)
    sizes = [(max(len(s), len(t)), min(len(s), len(t))) for s, t in zip(pairs.source, pairs.target, strict=True)]
    order.sort(key=sizes.__getitem__)
    if order and sizes[order[-1]][0] > max_tokens:
        raise ValueError(f"max_tokens must be at least {sizes[order[-1]][0]}, the longest sentence, got {max_tokens}")
    batches: list[list[int]] = []
    for index in order:  # by length, so the newest is the longest
        if batches and (len(batches[-1]) + 1) * sizes[index][0] <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def padded(sentences: Sequence[Sequence[int]]) -> Tensor:
    """``(batch, longest)`` int64, filled up with ``PAD`` at the end."""
    longest = max(map(len, sentences))
    return torch.tensor([[*tokens, *[PAD] * (longest - len(tokens))] for tokens in sentences])


class TokenBatches:
    """Batches of one epoch: source, target shifted right behind ``EOS``, target; ``(batch, length)`` int64 each.

    Args:
        pairs: all pairs.
        batches: indices of each batch.
        seed: of their order.
    """

    def __init__(self, pairs: Pairs, batches: Sequence[Sequence[int]], seed: int) -> None:
        self.pairs, self.batches = pairs, batches
        self.order = list(range(len(batches)))
        random.Random(seed).shuffle(self.order)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        return tensors(self.pairs, self.batches[self.order[index]])


def tensors(pairs: Pairs, chosen: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The three tensors of some pairs."""
    targets = [pairs.target[i] for i in chosen]
    previous = [[EOS, *tokens[:-1]] for tokens in targets]
    return padded([pairs.source[i] for i in chosen]), padded(previous), padded(targets)
