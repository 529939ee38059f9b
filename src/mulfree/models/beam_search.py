"""Beam search with an encoder-decoder Transformer, in batches and with cached keys and values.

As fairseq does it (Ott et al., 2019): of the 2 n best continuations of a sentence, those of the first n that end it are
finished, the first n others go on; a sentence is done when n are finished or it is as long as it may become.
Arithmetic on scores is ordinary: it is no part of training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mulfree.models.transformer import LayerCache


@dataclass(frozen=True)
class Hypothesis:
    """Tokens without the one that ends them, and their score: log-probability / length ** penalty."""

    tokens: tuple[int, ...]
    score: float


@torch.no_grad()
def beam_search(
    model: Any,
    source: Tensor,
    *,
    beam: int = 5,
    penalty: float = 1.0,
    ratio: float = 1.2,
    extra: int = 10,
    end: int = 2,
    padding: int = 1,
) -> list[list[Hypothesis]]:
    """The best translations of each sentence, best first.

    Args:
        model: a ``Transformer`` in evaluation mode, converted or not.
        source: ``(batch, length)``, padded at the end.
        beam: hypotheses that are followed, n.
        penalty: exponent of the length, the end included, that a sum of log-probabilities is divided by.
        ratio, extra: a translation has at most ``ratio * length + extra`` tokens, with the length of the padded source.
        end: token that begins and ends a target sequence.
        padding: never chosen.

    Raises:
        ValueError: ``beam`` is not positive or larger than half the number of target tokens.
    """
    batch, device = source.shape[0], source.device
    longest = int(ratio * source.shape[1] + extra)
    memory, mask = model.encoder(source)
    rows = torch.arange(batch, device=device).repeat_interleave(beam)
    memory, mask = memory[rows], mask[rows]
    caches = [LayerCache() for _ in model.decoder.layers]
    tokens = torch.full((batch * beam, 1), end, device=device)
    sums = torch.zeros(batch, beam, device=device)
    sums[:, 1:] = -torch.inf  # at first all beams are alike
    active = list(range(batch))
    finished: list[list[Hypothesis]] = [[] for _ in range(batch)]
    for step in range(longest + 1):
        logits = model.decoder(tokens[:, -1:], memory, mask, caches, step)[:, -1]
        if not 0 < 2 * beam <= logits.shape[1]:
            raise ValueError(f"beam must be between 1 and {logits.shape[1] // 2}, got {beam}")
        scores = logits.log_softmax(1)
        scores[:, padding] = -torch.inf
        if step == longest:
            ending = scores[:, end].clone()
            scores[:] = -torch.inf
            scores[:, end] = ending
        size = scores.shape[1]
        total = (scores.view(len(active), beam, size) + sums[:, :, None]).flatten(1)
        best, places = total.topk(2 * beam, 1)
        beams, words = places // size, places % size
        ends = (words == end) & best.isfinite()
        _finish(finished, active, tokens, best, beams, ends, step, beam, penalty)
        going = [row for row, sentence in enumerate(active) if len(finished[sentence]) < beam]
        if not going or step == longest:
            break
        # The first n continuations that do not end, in order: those that end sort behind.
        kept = torch.tensor(going, device=device)
        order = ends[kept].to(torch.int8).argsort(dim=1, stable=True)[:, :beam]
        sums = best[kept].gather(1, order)
        chosen = (kept[:, None] * beam + beams[kept].gather(1, order)).flatten()
        tokens = torch.cat([tokens[chosen], words[kept].gather(1, order).view(-1, 1)], 1)
        memory, mask = memory[chosen], mask[chosen]
        for cache in caches:
            cache.select(chosen)
        active = [active[row] for row in going]
    return [sorted(found, key=lambda hypothesis: -hypothesis.score) for found in finished]


def _finish(
    finished: list[list[Hypothesis]],
    active: list[int],
    tokens: Tensor,
    best: Tensor,
    beams: Tensor,
    ends: Tensor,
    step: int,
    beam: int,
    penalty: float,
) -> None:
    """Store the continuations among the first ``beam`` of each sentence that end it, at most ``beam`` a sentence."""
    for row, place in ends[:, :beam].nonzero().tolist():
        found = finished[active[row]]
        if len(found) < beam:
            words = tuple(tokens[row * beam + int(beams[row, place]), 1:].tolist())
            found.append(Hypothesis(words, float(best[row, place]) / (step + 1) ** penalty))
