"""From files of sentences to numbered tokens: tokenization, cleaning, joint BPE, dictionaries; kept in a cache."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from mulfree.data.locations import MissingDataError
from mulfree.data.translation.bpe import BPE
from mulfree.data.translation.dictionary import SPECIAL, Dictionary
from mulfree.data.translation.moses import Moses

_VERSION = 1
"""Of the preparation: part of the key of the cache."""
Text = list[str]


@dataclass(frozen=True)
class Preparation:
    """How sentences become tokens.

    Attributes:
        source, target: languages, the endings of the files.
        lowercase: lower-case all text.
        bpe: number of joint parts of words.
        longest: tokens of a training sentence at most, before BPE.
        ratio: greatest quotient of the lengths of a training pair.
        prepared: the files hold tokens already, as fairseq's scripts write them; nothing is changed then.
    """

    source: str = "de"
    target: str = "en"
    lowercase: bool = True
    bpe: int = 10_000
    longest: int = 175
    ratio: float = 1.5
    prepared: bool = False


@dataclass(frozen=True)
class Pairs:
    """Numbered tokens of source and target sentences, and the target sentences as they were."""

    source: list[list[int]]
    target: list[list[int]]
    references: Text

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Corpus:
    """Prepared parallel text."""

    preparation: Preparation
    source: Dictionary
    target: Dictionary
    train: Pairs
    valid: Pairs
    test: Pairs

    def words(self, numbers: Iterable[int]) -> list[str]:
        """Target words of a translation."""
        return BPE.join(self.target.decode(numbers))

    def sentence(self, words: list[str]) -> str:
        """Words as text, for people and for BLEU."""
        return self._moses.detokenize(words)

    @cached_property
    def _moses(self) -> Moses:
        return Moses(self.preparation.target, False)


PARTS = ("train", "valid", "test")
_NAMES = {"train": ("train",), "valid": ("valid", "val", "dev"), "test": ("test", "test_2016_flickr")}


def prepare(
    folder: Path, preparation: Preparation, cache: Path, say: Callable[[str], None] = lambda message: None
) -> Corpus:
    """The corpus of a folder with ``train``, ``valid`` (or ``val``) and ``test`` files of both languages.

    Files are ``NAME.LANGUAGE`` or ``NAME.LANGUAGE.gz``, a sentence a line. What is prepared is kept in ``cache`` under
    a name made of the files' contents and the preparation; it has a checksum, and is made again if that is wrong.

    Raises:
        MissingDataError: a file is missing.
        ValueError: files of two languages differ in their number of lines, or no training pair is left.
    """
    raw = {name: _read(_find(folder, name, preparation)) for name in PARTS}
    digest = hashlib.sha256(json.dumps([_VERSION, asdict(preparation)], sort_keys=True).encode())
    for texts in raw.values():
        for text in texts:
            digest.update("\n".join(text).encode() + b"\0")
    path = cache / f"translation-{digest.hexdigest()[:24]}.json"
    stored = _stored(path, say)
    if stored is None:
        say(f"preparing {folder}: tokens, BPE and dictionaries")
        stored = _prepared(raw, preparation, say)
        _store(path, stored)
    source, target = Dictionary(stored["source"]), Dictionary(stored["target"])
    train, valid, test = (
        Pairs(
            [source.encode(line.split()) for line in stored[f"{name}.source"]],
            [target.encode(line.split()) for line in stored[f"{name}.target"]],
            stored[f"{name}.references"],
        )
        for name in PARTS
    )
    return Corpus(preparation, source, target, train, valid, test)


def _find(folder: Path, name: str, preparation: Preparation) -> tuple[Path, Path]:
    found = []
    for language in (preparation.source, preparation.target):
        names = [f"{stem}.{language}{ending}" for stem in _NAMES[name] for ending in ("", ".gz")]
        paths = [folder / candidate for candidate in names if (folder / candidate).is_file()]
        if not paths:
            raise MissingDataError(f"no file {names[0]} or {names[1]} in {folder}")
        found.append(paths[0])
    return found[0], found[1]


def _read(paths: tuple[Path, Path]) -> tuple[Text, Text]:
    texts = []
    for path in paths:
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            texts.append([line.strip() for line in content.decode("utf-8").split("\n")])
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        if texts[-1] and not texts[-1][-1]:
            texts[-1].pop()  # after the last end of line
    if len(texts[0]) != len(texts[1]):
        raise ValueError(f"{paths[0]} has {len(texts[0])} lines and {paths[1]} {len(texts[1])}; they must be pairs")
    return texts[0], texts[1]


def _prepared(raw: dict[str, tuple[Text, Text]], how: Preparation, say: Callable[[str], None]) -> dict[str, Text]:
    words: dict[str, tuple[list[list[str]], list[list[str]]]] = {}
    for name, texts in raw.items():
        say(f"tokenizing {len(texts[0]):,} pairs of {name}")
        words[name] = _tokens(texts[0], how.source, how), _tokens(texts[1], how.target, how)
    kept = [pair for pair in zip(*words["train"], strict=True) if how.prepared or _clean(*pair, how)]
    if not kept:
        raise ValueError("no training pair is left after cleaning")
    say(f"kept {len(kept):,} of {len(words['train'][0]):,} training pairs")
    words["train"] = [pair[0] for pair in kept], [pair[1] for pair in kept]
    if not how.prepared:
        say(f"learning {how.bpe:,} parts of words")
        bpe = BPE.learn([*words["train"][0], *words["train"][1]], how.bpe)
        words = {name: ([*map(bpe.split, a)], [*map(bpe.split, b)]) for name, (a, b) in words.items()}
    stored: dict[str, Text] = {}
    for place, language in enumerate(("source", "target")):
        dictionary = Dictionary.of(words["train"][place])
        stored[language] = list(dictionary.tokens[len(SPECIAL) :])
        for name in PARTS:
            stored[f"{name}.{language}"] = [" ".join(line) for line in words[name][place]]
    for name in PARTS:
        stored[f"{name}.references"] = [] if name == "train" else raw[name][1]
    return stored


def _tokens(text: Text, language: str, how: Preparation) -> list[list[str]]:
    if how.prepared:
        return [line.split() for line in text]
    return list(Moses(language, how.lowercase).tokenize(text))


def _clean(source: list[str], target: list[str], how: Preparation) -> bool:
    """The rule of Moses' clean-corpus-n: 1 to ``longest`` tokens each, neither ``ratio`` times as long as the other."""
    a, b = len(source), len(target)
    return 1 <= a <= how.longest and 1 <= b <= how.longest and a <= how.ratio * b and b <= how.ratio * a


def _stored(path: Path, say: Callable[[str], None]) -> dict[str, Text] | None:
    if not path.exists():
        return None
    head, _, body = path.read_bytes().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != head:
        say(f"{path} is damaged and is made again")
        return None
    found: dict[str, Text] = json.loads(body)
    return found


def _store(path: Path, stored: dict[str, Text]) -> None:
    body = json.dumps(stored, ensure_ascii=False).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    os.replace(draft, path)
