"""The work of one entry, row or parameter of this library's operations on them.

The numbers are those of the law (docs/spec.md, sections 7 and 9, and ``mulfree.numerics``): a value that it needs
twice counts once. ``replaced`` counts the formula that is usual in ordinary arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mulfree.audit.work import Work


def _w(products: int, quotients: int, additions: int, powers: int, logarithms: int, replaced: int) -> Work:
    return Work(products, quotients, additions, powers, logarithms, replaced)


PRODUCT: Final = _w(1, 0, 1, 0, 0, 1)
"""A term of a dot product."""
ADDITION: Final = Work(additions=1)

ENTRIES: Final[Mapping[str, Work]] = {
    "mul": _w(1, 0, 0, 0, 0, 1),
    "mul_grad": _w(1, 0, 0, 0, 0, 1),
    "div": _w(0, 1, 0, 0, 0, 1),
    "div_grad_numerator": _w(0, 1, 0, 0, 0, 1),
    "div_grad_denominator": _w(2, 1, 0, 0, 0, 3),
    "exp2": _w(0, 0, 0, 1, 0, 1),
    "exp2_grad": _w(2, 0, 0, 1, 0, 2),
    "log2": _w(0, 0, 0, 0, 1, 1),
    "log2_grad": _w(1, 1, 0, 0, 0, 2),
    "exp": _w(1, 0, 0, 1, 0, 1),
    "exp_grad": _w(4, 0, 0, 1, 0, 1),
    "log": _w(0, 1, 0, 0, 1, 1),
    "log_grad": _w(1, 2, 0, 0, 0, 1),
    "sqrt": _w(0, 1, 0, 1, 1, 1),
    "sqrt_grad": _w(3, 3, 0, 1, 1, 2),
    "sigmoid": _w(1, 1, 1, 1, 0, 2),
    "sigmoid_grad": _w(6, 1, 1, 1, 0, 2),
    "silu": _w(2, 1, 1, 1, 0, 3),
    "silu_grad": _w(8, 2, 2, 1, 0, 5),
    "tanh": _w(1, 1, 2, 1, 0, 2),
    "tanh_grad": _w(6, 2, 3, 1, 0, 2),
    "gelu": _w(6, 1, 2, 1, 0, 7),
    "gelu_grad": _w(17, 2, 5, 1, 0, 15),
    "dropout": _w(1, 0, 0, 0, 0, 1),
}
"""Work of one entry of the result."""

ROWS: Final[Mapping[str, tuple[Work, Work]]] = {
    "softmax": (_w(1, 1, 2, 1, 0, 2), Work()),
    "softmax_grad": (_w(5, 2, 4, 1, 0, 2), _w(1, 0, 0, 0, 0, 0)),
    "log_softmax": (_w(1, 0, 3, 1, 0, 1), _w(0, 1, 1, 0, 1, 1)),
    "log_softmax_grad": (_w(4, 0, 4, 1, 0, 2), _w(1, 2, 1, 0, 1, 0)),
    "logsumexp": (_w(1, 0, 2, 1, 0, 1), _w(0, 1, 1, 0, 1, 1)),
    "logsumexp_grad": (_w(4, 0, 2, 1, 0, 2), _w(1, 2, 1, 0, 1, 0)),
    "cross_entropy": (_w(1, 0, 3, 1, 0, 1), _w(0, 1, 1, 0, 1, 1)),
    "cross_entropy_grad": (_w(4, 0, 4, 1, 0, 2), _w(1, 2, 1, 0, 1, 0)),
    "layer_norm": (_w(1, 1, 3, 0, 0, 2), _w(0, 3, 1, 1, 1, 3)),
    "layer_norm_grad": (_w(3, 3, 7, 0, 0, 5), _w(4, 7, 1, 1, 1, 4)),
}
"""Work of one entry of the input, and of one row."""

SMOOTHED: Final = (_w(0, 0, 1, 0, 0, 0), _w(2, 0, 1, 0, 0, 2))
"""What label smoothing adds: a sum over the row, and two weighted terms."""
AFFINE: Final[Mapping[str, Work]] = {"layer_norm": _w(1, 0, 1, 0, 0, 1), "layer_norm_grad": _w(2, 0, 2, 0, 0, 2)}
"""What an entry's weight and bias add."""

PARAMETERS: Final[Mapping[str, Work]] = {
    "adamw_": _w(7, 4, 5, 1, 1, 11),
    "adam_": _w(7, 4, 5, 1, 1, 11),
    "sgd_": _w(1, 0, 1, 0, 0, 1),
    "rmsprop_": _w(4, 2, 3, 1, 1, 6),
    "lion_": _w(6, 0, 4, 0, 0, 6),
    "moving_average_": _w(1, 0, 2, 0, 0, 1),
}
"""Work of one entry of the parameters."""
WEIGHT_DECAY: Final = PRODUCT
"""An L2 penalty."""
MOMENTUM: Final[Mapping[str, Work]] = {"sgd_": _w(2, 0, 1, 0, 0, 2), "rmsprop_": PRODUCT}
NESTEROV: Final = PRODUCT
CENTERED: Final = _w(3, 0, 4, 0, 0, 2)
