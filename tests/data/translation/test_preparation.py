"""From files of sentences to batches."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path

import pytest
import torch

from mulfree.data.locations import VARIABLE, MissingDataError, data_folder
from mulfree.data.translation import BOS, EOS, PAD, UNK, Dictionary, Pairs, TokenBatches, plan, prepare
from mulfree.data.translation.bpe import BPE
from mulfree.data.translation.corpus import Preparation, _clean

pytest.importorskip("sacremoses")
pytest.importorskip("tokenizers")

DE = ["Das Haus ist groß.", "Ein Hund läuft, und eine Katze schläft!", "Haus", "Der Hund ist groß und alt."]
EN = [
    "The house is big.",
    "A dog runs, and a cat sleeps!",
    "This one is far too long for such a word",
    "The dog's big.",
]
HOW = Preparation(bpe=60)


def _write(folder: Path, compressed: bool = False) -> Path:
    for name in ("train", "valid", "test"):
        for language, lines in (("de", DE), ("en", EN)):
            content = ("\n".join(lines) + "\n").encode()
            path = folder / f"{name}.{language}"
            if compressed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
    return folder


def test_text_becomes_tokens_and_text_again(tmp_path: Path) -> None:
    corpus = prepare(_write(tmp_path), HOW, tmp_path / "cache")
    assert len(corpus.train) == 3  # one pair is too unlike in length
    assert len(corpus.valid) == len(corpus.test) == 4
    for place in (0, 1, 3):  # the pair that was left out has letters that are not known
        target = corpus.test.target[place]
        assert target[-1] == EOS
        assert corpus.sentence(corpus.words(target)) == EN[place].lower()
    assert corpus.test.references == EN
    assert corpus.source.tokens[:4] == ("<s>", "<pad>", "</s>", "<unk>")
    assert UNK not in {number for sentence in corpus.train.source for number in sentence}


def test_parts_are_always_the_same() -> None:
    sentences = [text.split() for text in (*DE, *EN)]
    first = BPE.learn(sentences, 90)
    for _ in range(8):
        assert BPE.learn(sentences, 90).model == first.model
    for sentence in sentences:
        assert BPE.join(first.split(sentence)) == sentence
    assert BPE.join(["a@@", "b", "c@@"]) == ["ab", "c"]


def test_compressed_files_and_the_cache(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "packed").mkdir()
    said: list[str] = []
    cache = tmp_path / "cache"
    first = prepare(_write(tmp_path / "plain"), HOW, cache, said.append)
    assert any("learning" in message for message in said)
    said.clear()
    second = prepare(_write(tmp_path / "packed", compressed=True), HOW, cache, said.append)
    assert said == []
    assert second.train == first.train
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    third = prepare(tmp_path / "plain", HOW, cache, said.append)
    assert "is damaged and is made again" in said[0]
    assert third.train == first.train
    assert len(list(cache.iterdir())) == 1
    prepare(tmp_path / "plain", Preparation(bpe=50), cache)
    assert len(list(cache.iterdir())) == 2


def test_prepared_files_stay_as_they_are(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.de").write_text("ein@@ s zwei\ndrei\n")
        (tmp_path / f"{name}.en").write_text("on@@ e two\nthree three three\n")
    corpus = prepare(tmp_path, Preparation(prepared=True), tmp_path / "cache")
    assert corpus.source.decode(corpus.train.source[0]) == ["ein@@", "s", "zwei"]
    assert corpus.words(corpus.train.target[0]) == ["one", "two"]
    assert corpus.target.tokens[4] == "three"  # the most frequent


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no file train.de or train.de.gz"):
        prepare(tmp_path, HOW, tmp_path)
    _write(tmp_path)
    (tmp_path / "valid.en").write_text("one line\n")
    with pytest.raises(ValueError, match=r"valid.de has 4 lines and .*valid.en 1; they must be pairs"):
        prepare(tmp_path, HOW, tmp_path)
    _write(tmp_path)
    (tmp_path / "train.de.gz").write_bytes(b"\x1f\x8b not gzip")
    (tmp_path / "train.de").unlink()
    with pytest.raises(ValueError, match=r"train.de.gz is damaged"):
        prepare(tmp_path, HOW, tmp_path)


@pytest.mark.parametrize(
    ("source", "target", "fine"),
    [(3, 2, True), (2, 3, True), (4, 2, False), (0, 1, False), (175, 175, True), (176, 176, False)],
)
def test_cleaning(source: int, target: int, fine: bool) -> None:
    assert _clean(["x"] * source, ["y"] * target, Preparation()) is fine


def test_dictionaries() -> None:
    dictionary = Dictionary.of([["b", "a"], ["b", "c"]])
    assert dictionary.tokens[4:] == ("b", "a", "c")
    assert dictionary.encode(["c", "x", "b"]) == [6, UNK, 4, EOS]
    assert dictionary.decode([BOS, 6, UNK, 4, EOS, PAD]) == ["c", "<unk>", "b"]


def _pairs(count: int = 60) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 12, (2, count), generator=generator).tolist()
    return Pairs([[4 + i % 7] * a + [EOS] for i, a in enumerate(lengths[0])], [[5] * b + [EOS] for b in lengths[1]], [])


def test_batches_keep_to_the_number_of_tokens() -> None:
    pairs = _pairs()
    batches = plan(pairs, 40, seed=1)
    assert sorted(i for batch in batches for i in batch) == list(range(60))
    for batch in batches:
        longest = max(max(len(pairs.source[i]), len(pairs.target[i])) for i in batch)
        assert longest * len(batch) <= 40
    fullest = [max(len(pairs.source[i]) for i in batch) * len(batch) for batch in batches]
    assert sum(fullest) > 0.6 * 40 * len(batches)
    assert plan(pairs, 40, seed=1) == batches
    assert plan(pairs, 40, seed=2) != batches
    with pytest.raises(ValueError, match="max_tokens must be at least 12"):
        plan(pairs, 11, seed=1)


def test_batches_of_an_epoch() -> None:
    pairs = _pairs()
    batches = TokenBatches(pairs, plan(pairs, 40, seed=1), seed=3)
    again = pickle.loads(pickle.dumps(batches))
    orders = {tuple(TokenBatches(pairs, batches.batches, seed=s).order) for s in range(5)}
    assert len(orders) == 5
    for index in range(len(batches)):
        source, previous, target = batches[index]
        assert all(torch.equal(a, b) for a, b in zip(batches[index], again[index], strict=True))
        assert source.shape[0] == previous.shape[0] == target.shape[0]
        assert bool((previous[:, 0] == EOS).all())
        body = (target != PAD) & (target != EOS)
        assert torch.equal(previous[:, 1:][body[:, :-1]], target[body])
        assert bool(((source == EOS).sum(1) == 1).all())
    for index in (-1, len(batches)):
        with pytest.raises(IndexError):
            batches[index]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "pairs"), [("multi30k", 29_000), ("tatoeba.de-en", None)])
def test_real_text(name: str, pairs: int | None, tmp_path: Path) -> None:
    if VARIABLE not in os.environ or not (data_folder() / name).is_dir():
        pytest.skip(f"{VARIABLE} is not set or has no {name}")
    corpus = prepare(data_folder() / name, Preparation(), tmp_path)
    assert pairs is None or 0.8 * pairs < len(corpus.train) <= pairs
    assert 9_000 < len({*corpus.source.tokens, *corpus.target.tokens}) < 11_000
    unknown = sum(s.count(UNK) for s in corpus.valid.source)
    assert unknown < 0.001 * sum(map(len, corpus.valid.source))
