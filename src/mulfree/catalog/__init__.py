"""Which of PyTorch's operations multiply."""

from mulfree.catalog.classify import CONDITIONAL, Kind, classify, plain_name
from mulfree.catalog.constants import constants
from mulfree.catalog.tables import FREE, MULTIPLYING

__all__ = ["CONDITIONAL", "FREE", "MULTIPLYING", "Kind", "classify", "constants", "plain_name"]
