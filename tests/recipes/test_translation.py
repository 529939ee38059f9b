"""The task of translation, on number words and on a few sentences."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import mulfree as mf
from mulfree.data.translation import EOS, PAD
from mulfree.models.beam_search import Hypothesis
from mulfree.recipes.translation import (
    NetworkSettings,
    NumberSettings,
    TextSettings,
    TranslationSettings,
    TranslationTask,
)
from mulfree.train import ConfigError

SMALL = NetworkSettings(width=16, hidden=24, heads=2, depth=1, dropout=0.1)


def _numbers(**options: Any) -> TranslationTask:
    numbers = NumberSettings(train=300, held_out=20, largest=9999)
    return TranslationTask(TranslationSettings(network=SMALL, numbers=numbers, max_tokens=400, **options))


def _text(folder: Path, **options: Any) -> TranslationTask:
    text = TextSettings(folder=str(folder), cache=str(folder / "cache"), bpe=60, **options)
    return TranslationTask(TranslationSettings(network=SMALL, text=text), say=lambda message: None)


def _write(folder: Path) -> None:
    for name in ("train", "valid", "test"):
        (folder / f"{name}.de").write_text("Das Haus ist groß.\nEin Hund läuft im Haus.\n")
        (folder / f"{name}.en").write_text("The house is big.\nA dog runs in the house.\n")


def test_smoothing_is_fairseqs() -> None:
    """(1 - e - e/(V-1)) nll + e/(V-1) times the sum of all -log p, in float64."""
    task, e = _numbers(), 0.1
    size = len(task.corpus.target)
    torch.manual_seed(0)
    scores = torch.randn(7, size, dtype=torch.float64)
    target = torch.randint(4, size, (7,))
    target[3] = PAD
    logs = scores.log_softmax(1)
    kept = target != PAD
    nll = -logs[kept].gather(1, target[kept, None]).sum()
    share = e / (size - 1)
    expected = (1 - e - share) * nll + share * -logs[kept].sum()
    assert float(task.criterion()(scores, target)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("policy", [mf.Policy.standard(), mf.Policy.full()])
def test_a_step(policy: mf.Policy) -> None:
    task = _numbers()
    torch.manual_seed(0)
    model, criterion = mf.convert(task.model(), policy), mf.convert(task.criterion(), policy)
    batch = task.batches(0, 0)[0]
    with mf.audit() as audit:
        loss = task.loss(model, criterion, batch)
        loss.backward(torch.tensor(0.5))
    assert loss.dim() == 0
    assert (audit.multiplications == 0) is policy.is_full
    assert loss.item() / task.count(batch) == pytest.approx(math.log(len(task.corpus.target)), rel=0.35)


def test_measurements() -> None:
    task = _numbers()
    torch.manual_seed(0)
    model = task.model().eval()
    measured = task.validate(model)
    assert measured["perplexity"] == pytest.approx(math.exp(measured["loss"]))
    assert task.score == "exact"
    assert task.evaluate(model).keys() == {"exact"}


def test_perfect_translations_score_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sacrebleu")
    _write(tmp_path)
    numbers, text = _numbers(), _text(tmp_path)
    for task in (numbers, text):
        perfect = [Hypothesis(tuple(t[:-1]), 0.0) for t in task.corpus.test.target]
        monkeypatch.setattr(task, "translate", lambda model, sentences, found=perfect: found)
        scores = task.evaluate(task.model())
        assert scores["exact"] == 1.0
        if task is text:
            assert scores["bleu"] == pytest.approx(100.0)
            assert scores["bleu_tokenized"] == pytest.approx(100.0)
    assert text.score == "bleu"


def test_translations_come_in_the_order_of_the_sentences() -> None:
    task = _numbers()
    torch.manual_seed(0)
    model = task.model().eval()
    sentences = task.corpus.test.source
    together = task.translate(model, sentences)
    for place in (0, 7, 19):
        assert task.translate(model, [sentences[place]])[0].tokens == together[place].tokens
    assert all(EOS not in h.tokens for h in together)


def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"one of \[task.text\] and \[task.numbers\]"):
        TranslationSettings()
    with pytest.raises(ConfigError, match=r"no folder .*missing with parallel text"):
        _text(tmp_path / "missing")
    with pytest.raises(ConfigError, match=r"no file train\.de"):
        _text(tmp_path)
    with pytest.raises(ConfigError, match="max_tokens must be at least"):
        TranslationTask(TranslationSettings(network=SMALL, numbers=NumberSettings(train=200), max_tokens=3))
    with pytest.raises(ConfigError, match="width must be a multiple of heads"):
        TranslationTask(TranslationSettings(network=NetworkSettings(width=15), numbers=NumberSettings(train=200)))
    _write(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "sacremoses", None)
    with pytest.raises(ConfigError, match=r"sacremoses is not installed: pip install 'mulfree\[translation\]'"):
        _text(tmp_path)
