"""Translation: an encoder-decoder Transformer on parallel text, or on number words (section 3.1, table 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from mulfree.data import number_words
from mulfree.data.locations import MissingDataError, data_folder
from mulfree.data.translation.batches import TokenBatches, padded, plan, tensors
from mulfree.data.translation.corpus import Corpus, Pairs, Preparation, prepare
from mulfree.data.translation.dictionary import EOS, PAD, Dictionary
from mulfree.models.beam_search import Hypothesis, beam_search
from mulfree.models.transformer import Transformer
from mulfree.train.errors import ConfigError
from mulfree.train.seeds import random_seed
from mulfree.train.settings import CHECKED, Count, Flag, NotNegative, Positive, Rate, Share
from mulfree.train.task import Batch, Batches

CACHE = Path("~/.cache/mulfree")
_DECODED = 6000
"""Source tokens times hypotheses that are decoded at once."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NetworkSettings:
    """``[task.network]``: sizes of ``models.transformer.Transformer``; the defaults are those of section 3.1."""

    width: Positive = 512
    hidden: Positive = 1024
    heads: Positive = 4
    depth: Positive = 6
    dropout: Share = 0.3


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class BeamSettings:
    """``[task.beam]``: the search of ``evaluate``; arguments of ``models.beam_search.beam_search``."""

    beam: Positive = 5
    penalty: NotNegative = 1.0
    ratio: NotNegative = 1.2
    extra: Count = 10


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class TextSettings:
    """``[task.text]``: parallel text and its preparation, as in ``data.translation.Preparation``.

    Attributes:
        folder: with train, valid and test files; below ``data_dir`` unless it is absolute.
        data_dir: empty for the environment variable MULFREE_DATA.
        cache: folder of prepared text.
    """

    folder: str
    data_dir: str = ""
    cache: str = str(CACHE)
    source: str = Preparation.source
    target: str = Preparation.target
    lowercase: Flag = Preparation.lowercase
    bpe: Positive = Preparation.bpe
    longest: Positive = Preparation.longest
    ratio: Rate = Preparation.ratio
    prepared: Flag = Preparation.prepared


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class NumberSettings:
    """``[task.numbers]``: how many number words are learned, and held out for validation and test each."""

    train: Positive = 20_000
    held_out: Positive = 500
    largest: Positive = number_words.LARGEST


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class TranslationSettings:
    """``[task]`` with ``kind = "translation"``; one of ``text`` and ``numbers``.

    Attributes:
        max_tokens: pairs of a batch times their greatest length, at most.
        label_smoothing: share of the target's probability that is spread over the other tokens.
    """

    max_tokens: Positive = 4096
    label_smoothing: Share = 0.1
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    beam: BeamSettings = Field(default_factory=BeamSettings)
    text: TextSettings | None = None
    numbers: NumberSettings | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.numbers is None):
            raise ValueError("one of [task.text] and [task.numbers] must be given")


class TranslationTask:
    """Parallel text to scores.

    Raises:
        ConfigError: data are missing or damaged, or sizes do not fit each other.
    """

    def __init__(self, settings: TranslationSettings, say: Callable[[str], None] = print) -> None:
        self.settings = settings
        try:
            if settings.text is not None:
                self.corpus = _text(settings.text, say)
            else:
                assert settings.numbers is not None
                self.corpus = _numbers(settings.numbers)
            self._plan, self._valid = (
                plan(part, settings.max_tokens, seed=0) for part in (self.corpus.train, self.corpus.valid)
            )
            self.model()
        except (MissingDataError, ValueError) as error:
            raise ConfigError(f"task: {error}") from None
        except ImportError as error:
            raise ConfigError(f"task: {error.name} is not installed: pip install 'mulfree[translation]'") from None

    @property
    def score(self) -> str:
        return "exact" if self.settings.text is None else "bleu"

    def model(self) -> nn.Module:
        s = self.settings.network
        return Transformer(
            len(self.corpus.source), len(self.corpus.target), width=s.width, hidden=s.hidden, heads=s.heads,
            depth=s.depth, dropout=s.dropout, padding=PAD,
        )  # fmt: skip

    def criterion(self) -> nn.Module:
        """Cross-entropy whose smoothing spreads its share over all other tokens, as fairseq's does.

        torch spreads over all V tokens, the target included; a share of e V / (V - 1) there is e over the others.
        """
        size = len(self.corpus.target)
        smoothing = self.settings.label_smoothing * size / (size - 1)
        return nn.CrossEntropyLoss(reduction="sum", ignore_index=PAD, label_smoothing=smoothing)

    def batches(self, epoch: int, seed: int) -> Batches:
        return TokenBatches(self.corpus.train, self._plan, random_seed(seed, epoch))

    def loss(self, model: nn.Module, criterion: nn.Module, batch: Batch) -> Tensor:
        source, previous, target = batch
        loss: Tensor = criterion(model(source, previous).flatten(0, 1), target.flatten())
        return loss

    def count(self, batch: Batch) -> int:
        return int((batch[2] != PAD).sum())

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean cross-entropy of a validation token in nats, without smoothing, and its exponential."""
        total = tokens = 0.0
        device = next(model.parameters()).device
        for chosen in self._valid:
            source, previous, target = (x.to(device) for x in tensors(self.corpus.valid, chosen))
            scores = model(source, previous).flatten(0, 1)
            total += float(nn.functional.cross_entropy(scores, target.flatten(), ignore_index=PAD, reduction="sum"))
            tokens += self.count((source, previous, target))
        return {"loss": total / tokens, "perplexity": math.exp(min(total / tokens, 700.0))}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """The share of test translations that are exactly right; for text also BLEU, see ``bleu``."""
        found = self.translate(model, self.corpus.test.source)
        wanted = [self.corpus.words(target) for target in self.corpus.test.target]
        words = [self.corpus.words(best.tokens) for best in found]
        exact = sum(a == b for a, b in zip(words, wanted, strict=True)) / len(wanted)
        if self.settings.text is None:
            return {"exact": exact}
        return {**self.bleu(words, wanted), "exact": exact}

    def bleu(self, words: Sequence[list[str]], wanted: Sequence[list[str]]) -> dict[str, float]:
        """BLEU of test translations by sacreBLEU (Post, 2018), from their words and those of the test data.

        "bleu" is that of detokenized text with sacreBLEU's own tokenization, lower case where the preparation is;
        "bleu_tokenized" that of the tokens of the preparation, which papers on IWSLT14 quote.
        """
        from sacrebleu.metrics.bleu import BLEU

        preparation, references = self.corpus.preparation, self.corpus.test.references
        text = [self.corpus.sentence(line) for line in words]
        own = BLEU(lowercase=preparation.lowercase).corpus_score(text, [references])
        found, tokens = ([" ".join(line) for line in lines] for lines in (words, wanted))
        plain = BLEU(tokenize="none", force=True).corpus_score(found, [tokens])
        return {"bleu": own.score, "bleu_tokenized": plain.score}

    @torch.no_grad()
    def translate(self, model: nn.Module, sentences: Sequence[Sequence[int]]) -> list[Hypothesis]:
        """The best translation of each sentence of numbered source tokens."""
        s = self.settings.beam
        device = next(model.parameters()).device
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        found: dict[int, Hypothesis] = {}
        while order:
            count = max(1, _DECODED // (s.beam * len(sentences[order[-1]])))
            order, chosen = order[:-count], order[-count:]
            source = padded([sentences[i] for i in chosen]).to(device)
            beams = beam_search(
                model, source, beam=s.beam, penalty=s.penalty, ratio=s.ratio, extra=s.extra, end=EOS, padding=PAD
            )
            found |= {i: hypotheses[0] for i, hypotheses in zip(chosen, beams, strict=True)}
        return [found[i] for i in range(len(sentences))]


def _text(settings: TextSettings, say: Callable[[str], None]) -> Corpus:
    folder = Path(settings.folder).expanduser()
    if not folder.is_absolute():
        folder = data_folder(settings.data_dir or None) / folder
    if not folder.is_dir():
        raise MissingDataError(f"no folder {folder} with parallel text")
    how = Preparation(**{field.name: getattr(settings, field.name) for field in fields(Preparation)})
    return prepare(folder, how, Path(settings.cache).expanduser(), say)


def _numbers(settings: NumberSettings) -> Corpus:
    """German letters to English words."""
    parts = number_words.split(settings.train, settings.held_out, settings.largest)
    german, english = ([spell(n) for n in parts.train] for spell in (_letters, _words))
    source, target = Dictionary.of(german), Dictionary.of(english)

    def pairs(numbers: Sequence[int]) -> Pairs:
        return Pairs(
            [source.encode(_letters(n)) for n in numbers],
            [target.encode(_words(n)) for n in numbers],
            [number_words.english(n) for n in numbers],
        )

    return Corpus(Preparation(bpe=1), source, target, pairs(parts.train), pairs(parts.valid), pairs(parts.test))


def _letters(number: int) -> list[str]:
    return list(number_words.german(number))


def _words(number: int) -> list[str]:
    return number_words.english(number).replace("-", " - ").split()
