"""What tensors and numbers are to compiled kernels: addresses and words."""

from __future__ import annotations

from torch import Tensor

from mulfree.backends.contract import AdamWScalars
from mulfree.numerics.rows import smoothing_weights
from mulfree.numerics.scalar import bits, is_zero


def address(x: Tensor | None) -> int:
    """Of the first element; 0 where there is no tensor."""
    return 0 if x is None else x.data_ptr()


def smoothing(label_smoothing: float, classes: int) -> tuple[bool, int, int]:
    """Whether there is smoothing, and its two weights."""
    if is_zero(bits(label_smoothing)):
        return False, 0, 0
    return True, *smoothing_weights(label_smoothing, classes)


def adam_words(s: AdamWScalars) -> list[int]:
    """The scalars that Adam and AdamW share, in the kernels' order."""
    return [s.lr, s.beta1, s.beta2, s.eps, s.decay, s.correction1, s.correction2]
