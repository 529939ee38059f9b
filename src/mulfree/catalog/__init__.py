"""Which of PyTorch's operations multiply."""

from mulfree.catalog.classify import CONDITIONAL, bound, classify
from mulfree.catalog.constants import constants, reason
from mulfree.catalog.free import FREE
from mulfree.catalog.kinds import Kind
from mulfree.catalog.multiplying import MULTIPLYING, UNJUDGED
from mulfree.catalog.names import plain_name

__all__ = [
    "CONDITIONAL",
    "FREE",
    "MULTIPLYING",
    "UNJUDGED",
    "Kind",
    "bound",
    "classify",
    "constants",
    "plain_name",
    "reason",
]
