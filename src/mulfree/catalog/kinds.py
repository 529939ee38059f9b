"""The kinds of calls."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What one call of an operation is."""

    FREE = "free"
    INTEGER = "integer arithmetic"
    PIECEWISE_AFFINE = "piecewise affine"
    MULTIPLYING = "multiplying"
    UNKNOWN = "unknown"
