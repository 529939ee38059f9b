"""Which of PyTorch's operations multiply."""

from mulfree.catalog.classify import CONDITIONAL, Kind, classify, plain_name
from mulfree.catalog.tables import FREE, MULTIPLYING

__all__ = ["CONDITIONAL", "FREE", "MULTIPLYING", "Kind", "classify", "plain_name"]
