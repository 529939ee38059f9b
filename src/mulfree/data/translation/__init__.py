"""Parallel text: reading, preparation, dictionaries, batches."""

from mulfree.data.translation.batches import TokenBatches, plan
from mulfree.data.translation.corpus import Corpus, Pairs, prepare
from mulfree.data.translation.dictionary import BOS, EOS, PAD, UNK, Dictionary

__all__ = ["BOS", "EOS", "PAD", "UNK", "Corpus", "Dictionary", "Pairs", "TokenBatches", "plan", "prepare"]
