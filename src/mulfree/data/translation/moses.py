"""Moses tokenization by the package sacremoses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Moses:
    """Tokens of a language's sentences, and sentences of tokens.

    Args:
        language: "de", "en", ...
        lowercase: as IWSLT14's preparation does.
    """

    def __init__(self, language: str, lowercase: bool) -> None:
        from sacremoses import MosesDetokenizer, MosesTokenizer

        self.lowercase = lowercase
        self._tokenizer: Any = MosesTokenizer(lang=language)
        self._detokenizer: Any = MosesDetokenizer(lang=language)

    def tokenize(self, sentences: Iterable[str]) -> Iterator[list[str]]:
        """Tokens of each sentence; hyphens and apostrophes as the Moses scripts have them, nothing escaped."""
        for sentence in sentences:
            text = sentence.lower() if self.lowercase else sentence
            yield self._tokenizer.tokenize(text, escape=False)

    def detokenize(self, tokens: list[str]) -> str:
        text: str = self._detokenizer.detokenize(tokens, unescape=False)
        return text
