"""Data sets as tensors, their fixed splits, and deterministic batches."""

from mulfree.data.digits import Digits, Split, batches, load_digits

__all__ = ["Digits", "Split", "batches", "load_digits"]
