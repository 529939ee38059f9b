"""The work of one call of each of this library's operations, from its schema and shapes.

The numbers follow the compositions of docs/spec.md, sections 7 and 9. An exact derivative counts like the approximate
one of the same operation: its slope is one sum of integers where the other is a product or quotient. Comparisons,
selections, roundings and negations count as nothing; clamping, a power of two as a factor and the order of sums change
nothing.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final

from torch import Tensor
from torch.utils._pytree import tree_leaves

from mulfree.audit.entries import (
    ADDITION,
    AFFINE,
    CENTERED,
    ENTRIES,
    MOMENTUM,
    NESTEROV,
    PARAMETERS,
    PRODUCT,
    ROWS,
    SMOOTHED,
    WEIGHT_DECAY,
)
from mulfree.audit.layers import LAYERS, Arguments, Formula
from mulfree.audit.work import Work
from mulfree.numerics.scalar import is_zero

_SELECTING: Final = (
    "abs", "amax", "amin", "class_entries", "divide_gradient", "fmax", "fmin", "maximum", "minimum", "spread",
)  # fmt: skip
"""Operations that only look at their operands; derivatives that divide are operations of their own."""


def _entries(work: Work) -> Formula:
    return lambda arguments, result: work.times(_first(result).numel())


def _rows(name: str) -> Formula:
    def work(arguments: Arguments, result: Any) -> Work:
        x = arguments["x"]
        entry, row = ROWS[name]
        if arguments.get("label_smoothing"):
            entry, row = entry + SMOOTHED[0], row + SMOOTHED[1]
        if name in AFFINE and arguments["weight"] is not None:
            entry += AFFINE[name]
        shape = x.shape or (1,)  # a tensor without dimensions is a row of one
        width = prod(shape[-arguments["ndim"] :]) if "ndim" in arguments else shape[arguments.get("dim", -1)]
        return entry.times(x.numel()) + row.times(x.numel() // max(width, 1))

    return work


def _parameters(name: str) -> Formula:
    def work(arguments: Arguments, result: Any) -> Work:
        one = PARAMETERS[name]
        if not is_zero(arguments.get("weight_decay", 0)):
            one += WEIGHT_DECAY
        if not is_zero(arguments.get("momentum", 0)):
            one += MOMENTUM[name] + (NESTEROV if arguments.get("nesterov") else Work())
        if arguments.get("grad_avgs"):
            one += CENTERED
        changed = arguments["averages"] if name == "moving_average_" else arguments["params"]
        return one.times(sum(tensor.numel() for tensor in changed))

    return work


def _sum(arguments: Arguments, result: Any) -> Work:
    return ADDITION.times(arguments["x"].numel())


def _matmul(arguments: Arguments, result: Any) -> Work:
    return PRODUCT.times(result.numel() * arguments["a"].shape[-1])


def _matmul_grad(arguments: Arguments, result: Any) -> Work:
    return PRODUCT.times(result.numel() * arguments["grad"].shape[-1])


def _linear(arguments: Arguments, result: Any) -> Work:
    bias = 0 if arguments["bias"] is None else result.numel()
    return PRODUCT.times(result.numel() * arguments["x"].shape[-1]) + ADDITION.times(bias)


_FORMULAS: Final[dict[str, Formula]] = {
    **{name: _entries(work) for name, work in ENTRIES.items()},
    **{name: _rows(name) for name in ROWS},
    **{name: _parameters(name) for name in PARAMETERS},
    **dict.fromkeys(_SELECTING, lambda arguments, result: Work()),
    **LAYERS,
    "sum": _sum,
    "matmul": _matmul,
    "matmul_grad": _matmul_grad,
    "linear": _linear,
}

COUNTED: Final = frozenset(_FORMULAS)
"""Names of the operations that have a formula."""


def _first(result: Any) -> Tensor:
    return next(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))


def work_of(name: str, arguments: Arguments, result: Any) -> Work | None:
    """Work of a finished call of ``mulfree::<name>``; None if the operation has no formula.

    Args:
        name: without the namespace.
        arguments: by the names of the schema.
        result: what the operation returned.
    """
    formula = _FORMULAS.get(name)
    return None if formula is None else formula(arguments, result)
