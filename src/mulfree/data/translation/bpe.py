"""Byte-pair encoding of words (Sennrich, Haddow & Birch, 2016) by the package tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

END = "</w>"
"""Marks the last part of a word inside the model."""
JOIN = "@@"
"""Marks parts that are not the last one, in text."""


class BPE:
    """Words to parts and back.

    Args:
        model: JSON of the package ``tokenizers``.
    """

    def __init__(self, model: str) -> None:
        from tokenizers import Tokenizer

        self.model = model
        self._tokenizer: Any = Tokenizer.from_str(model)
        self._known: dict[str, list[str]] = {}

    @classmethod
    def learn(cls, sentences: Sequence[Sequence[str]], size: int) -> BPE:
        """About ``size`` parts, single characters included, from the words of both languages.

        Equally frequent pairs are taken in the order of their parts' numbers. The last characters of words get theirs
        here, in alphabetical order; left to the package they are numbered in an order that changes from run to run.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix=END))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        ends = sorted({word[-1] + END for sentence in sentences for word in sentence})
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=["<unk>", *ends], end_of_word_suffix=END, show_progress=False
        )
        tokenizer.train_from_iterator((" ".join(sentence) for sentence in sentences), trainer)
        return cls(tokenizer.to_str())

    def split(self, words: Sequence[str]) -> list[str]:
        """Parts of each word; all but a word's last end in "@@"."""
        return [part for word in words for part in self._parts(word)]

    def _parts(self, word: str) -> list[str]:
        found = self._known.get(word)
        if found is None:
            parts = [part.removesuffix(END) for part in self._tokenizer.encode(word).tokens]
            found = self._known[word] = [*(part + JOIN for part in parts[:-1]), *parts[-1:]]
        return found

    @staticmethod
    def join(parts: Sequence[str]) -> list[str]:
        """The words; a part that is left over at the end is a word."""
        words, start = [], ""
        for part in parts:
            if part.endswith(JOIN):
                start += part.removesuffix(JOIN)
            else:
                words.append(start + part)
                start = ""
        return [*words, start] if start else words
