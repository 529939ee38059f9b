"""Tokens of a language by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

BOS, PAD, EOS, UNK = range(4)
"""The first numbers, as in fairseq: begin (unused), padding, end, unknown."""
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


class Dictionary:
    """The special tokens, then others.

    Args:
        tokens: without the special ones, each once.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = (*SPECIAL, *tokens)
        self._numbers = {token: number for number, token in enumerate(self.tokens)}

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> Dictionary:
        """All tokens of the sentences, the most frequent first, ties in alphabetical order."""
        counts = Counter(token for sentence in sentences for token in sentence)
        return cls(sorted(counts, key=lambda token: (-counts[token], token)))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Numbers of the tokens, ``EOS`` last; those that are not known are ``UNK``."""
        return [*(self._numbers.get(token, UNK) for token in tokens), EOS]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Tokens without begin, end and padding."""
        return [self.tokens[number] for number in numbers if number not in (BOS, PAD, EOS)]
