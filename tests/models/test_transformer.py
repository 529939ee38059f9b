"""The encoder-decoder Transformer and its beam search."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

import mulfree as mf
from mulfree.models.beam_search import Hypothesis, beam_search
from mulfree.models.transformer import LayerCache, Transformer, sinusoids

PAD, END = 1, 2


def _small(seed: int = 0, size: int = 11, **options: object) -> Transformer:
    torch.manual_seed(seed)
    sizes = {"width": 8, "hidden": 12, "heads": 2, "depth": 2, "dropout": 0.0, "longest": 40} | options
    model = Transformer(13, size, **sizes)  # type: ignore[arg-type]
    for p in model.parameters():
        if p.dim() > 1:
            nn.init.normal_(p, std=0.7)  # so that the next tokens differ in their probabilities
    return model.eval()


def _source(*lengths: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in enumerate(lengths):
        tokens[row, : length - 1] = torch.randint(4, 13, (length - 1,), generator=generator)
        tokens[row, length - 1] = END
    return tokens


def test_number_of_parameters() -> None:
    """fairseq's transformer_iwslt_de_en with dictionaries of 8848 and 6632 entries."""
    d, h = 512, 1024
    attention, norm = 4 * (d * d + d), 2 * d
    feed_forward = d * h + h + h * d + d
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    expected = (8848 + 6632) * d + 6 * (encoder + decoder)
    assert sum(p.numel() for p in Transformer(8848, 6632).parameters()) == expected == 39_469_056


def test_positions() -> None:
    table = sinusoids(30, 8, PAD)
    assert not table[PAD].any()
    for position, column in ((2, 0), (17, 3)):
        angle = position * 10000 ** (-column / 3)
        assert float(table[position, column]) == pytest.approx(math.sin(angle), abs=1e-6)
        assert float(table[position, 4 + column]) == pytest.approx(math.cos(angle), abs=1e-6)
    embedding = _small().encoder.embedding
    rows = embedding(_source(5, 3)) - embedding.tokens(_source(5, 3)) * math.sqrt(8)
    assert torch.allclose(rows[0], sinusoids(30, 8, PAD)[2:7], atol=1e-5)
    assert torch.allclose(rows[1, 3:], torch.zeros(2, 8), atol=1e-6)


def test_padding_and_later_tokens_change_nothing() -> None:
    model, previous = _small(), torch.tensor([[END, 5, 6, 7], [END, 8, 9, PAD]])
    both = model(_source(6, 4), previous)
    alone = model(_source(6, 4)[1:, :4], previous[1:, :3])
    assert torch.allclose(both[1, :3], alone[0], atol=1e-5)
    changed = previous.clone()
    changed[:, 2:] = 4
    assert torch.allclose(model(_source(6, 4), changed)[:, :2], both[:, :2], atol=1e-5)


@pytest.mark.parametrize("converted", [False, True])
def test_cached_decoding_is_whole_decoding(converted: bool) -> None:
    model = _small()
    if converted:
        mf.convert(model)
    source, previous = _source(6, 4), torch.tensor([[END, 5, 6, 7], [END, 8, 9, 10]])
    memory, mask = model.encoder(source)
    caches = [LayerCache() for _ in model.decoder.layers]
    steps = [model.decoder(previous[:, i : i + 1], memory, mask, caches, i) for i in range(4)]
    whole = model.decoder(previous, memory, mask)
    # Scores below the diagonal are masked in one and missing in the other; the rest is the same sum.
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_a_step_without_multiplications_and_back(shared: bool) -> None:
    model = _small(size=13, shared=shared, dropout=0.3)
    source, previous, target = (
        _source(6, 4),
        torch.tensor([[END, 5, 6], [END, 8, PAD]]),
        torch.tensor([[5, 6, END], [8, END, PAD]]),
    )
    before = model(source, previous)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    mf.convert(model.train())
    criterion = mf.convert(nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1, reduction="sum"))
    optimizer = mf.optim.AdamW(model.parameters(), lr=1e-3)
    with mf.audit(model) as audit:
        loss = criterion(model(source, previous).flatten(0, 1), target.flatten())
        loss.backward(torch.tensor(0.25))
        optimizer.step()
    assert audit.multiplications == 0, str(audit)
    mf.revert(model).load_state_dict(weights)
    assert torch.equal(model.eval()(source, previous), before)


def _log_probability(model: Transformer, source: Tensor, tokens: tuple[int, ...]) -> float:
    previous = torch.tensor([[END, *tokens]])
    scores = model(source, previous).log_softmax(2)[0]
    return sum(float(scores[i, token]) for i, token in enumerate((*tokens, END)))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all(penalty: float) -> None:
    """Among all sequences of up to 3 tokens of a vocabulary of 6."""
    size, longest = 8, 3
    for seed in range(4):
        model, source = _small(seed, size), _source(4, seed=seed)
        words = [w for w in range(size) if w not in (PAD, END)]
        every = [s for n in range(longest + 1) for s in itertools.product(words, repeat=n)]
        scored = {s: _log_probability(model, source, s) / (len(s) + 1) ** penalty for s in every}
        best = max(scored, key=lambda s: scored[s])
        (found,) = beam_search(_Wide(model), source, beam=400, penalty=penalty, ratio=0.0, extra=longest)
        assert found[0].tokens == best
        assert found[0].score == pytest.approx(scored[best], abs=1e-4)


class _Wide:
    """A model whose vocabulary has many more tokens that are never taken, so that a beam of any width fits."""

    def __init__(self, model: Transformer) -> None:
        self.encoder, self.decoder = model.encoder, _WideDecoder(model)


class _WideDecoder:
    def __init__(self, model: Transformer) -> None:
        self.inner, self.layers = model.decoder, model.decoder.layers

    def __call__(self, previous: Tensor, *arguments: object) -> Tensor:
        scores: Tensor = self.inner(previous.clamp(max=self.inner.embedding.tokens.num_embeddings - 1), *arguments)
        return torch.cat([scores, scores.new_full((*scores.shape[:2], 2000), -1e30)], 2)


def test_a_beam_of_one_is_greedy() -> None:
    model, source = _small(3), _source(5)
    tokens = [END]
    while True:
        scores = model(source, torch.tensor([tokens]))[0, -1]
        scores[PAD] = -math.inf
        word = int(scores.argmax())
        if word == END or len(tokens) > 10:
            break
        tokens.append(word)
    (found,) = beam_search(model, source, beam=1, ratio=0.0, extra=10)
    assert found[0].tokens == tuple(tokens[1:])


def test_batches_give_what_single_sentences_give() -> None:
    model, lengths = _small(5), (6, 3, 5, 2)
    source = _source(*lengths)
    together = beam_search(model, source, beam=4, ratio=0.0, extra=9)
    for row, length in enumerate(lengths):
        (alone,) = beam_search(model, source[row : row + 1, :length], beam=4, ratio=0.0, extra=9)
        assert [h.tokens for h in alone] == [h.tokens for h in together[row]]
        assert [h.score for h in alone] == pytest.approx([h.score for h in together[row]], abs=1e-4)
        assert len(alone) == 4
        assert all(isinstance(h, Hypothesis) and PAD not in h.tokens and len(h.tokens) <= 9 for h in alone)


def test_a_beam_that_is_too_wide() -> None:
    with pytest.raises(ValueError, match="beam must be between 1 and 5, got 6"):
        beam_search(_small(), _source(3), beam=6)
