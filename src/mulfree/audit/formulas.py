"""The work of one call of each of this library's operations, from its schema and shapes.

The numbers follow the compositions of docs/spec.md, section 7. An exact derivative counts like the approximate one of
the same operation: its slope is one sum of integers where the other is a product or quotient. Comparisons, roundings
and negations count as nothing; clamping, a power of two as a factor and the order of sums change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

from torch import Tensor
from torch.utils._pytree import tree_leaves

from mulfree.audit.work import Work

Arguments = Mapping[str, Any]


def _w(products: int, quotients: int, additions: int, powers: int, logarithms: int, replaced: int) -> Work:
    return Work(products, quotients, additions, powers, logarithms, replaced)


# Work of one entry of the result: PAM, PAD, additions, exp2, log2; float operations replaced.
_ENTRY: Final[Mapping[str, Work]] = {
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
    "gelu": _w(5, 1, 2, 1, 0, 6),
    "gelu_grad": _w(16, 2, 6, 2, 0, 15),
    "dropout": _w(1, 0, 0, 0, 0, 1),
}

# Work of one entry of the input, and of one row.
_ROWS: Final[Mapping[str, tuple[Work, Work]]] = {
    "softmax": (_w(1, 1, 2, 1, 0, 2), Work()),
    "softmax_grad": (_w(6, 2, 4, 2, 0, 2), Work()),
    "log_softmax": (_w(1, 0, 3, 1, 0, 1), _w(0, 1, 1, 0, 1, 1)),
    "log_softmax_grad": (_w(4, 0, 4, 2, 0, 2), _w(1, 2, 1, 0, 1, 0)),
    "logsumexp": (_w(1, 0, 2, 1, 0, 1), _w(0, 1, 1, 0, 1, 1)),
    "logsumexp_grad": (_w(4, 0, 2, 2, 0, 2), _w(1, 2, 1, 0, 1, 0)),
    "cross_entropy": (_w(1, 0, 3, 1, 0, 1), _w(0, 1, 1, 0, 1, 1)),
    "cross_entropy_grad": (_w(4, 0, 4, 2, 0, 2), _w(1, 2, 1, 0, 1, 0)),
    "layer_norm": (_w(1, 1, 3, 0, 0, 2), _w(0, 3, 1, 1, 1, 3)),
    "layer_norm_grad": (_w(4, 3, 7, 0, 0, 5), _w(3, 5, 0, 1, 1, 4)),
}
_SMOOTHED: Final = (_w(0, 0, 1, 0, 0, 0), _w(2, 0, 1, 0, 0, 2))  # a sum over the row, and two weighted terms
_AFFINE: Final = {"layer_norm": _w(1, 0, 1, 0, 0, 1), "layer_norm_grad": _w(2, 0, 2, 0, 0, 2)}

# Work of one entry of the parameters.
_PARAMETER: Final[Mapping[str, Work]] = {"adamw_": _w(7, 4, 5, 1, 1, 11)}

_PRODUCT: Final = _w(1, 0, 1, 0, 0, 1)


def _entries(work: Work) -> Callable[[Arguments, Any], Work]:
    return lambda arguments, result: work.times(_first(result).numel())


def _rows(name: str) -> Callable[[Arguments, Any], Work]:
    def work(arguments: Arguments, result: Any) -> Work:
        x = arguments["x"]
        entry, row = _ROWS[name]
        if arguments.get("label_smoothing"):
            entry, row = entry + _SMOOTHED[0], row + _SMOOTHED[1]
        if name in _AFFINE and arguments["weight"] is not None:
            entry += _AFFINE[name]
        width = prod(x.shape[-arguments["ndim"] :]) if "ndim" in arguments else x.shape[arguments.get("dim", -1)]
        return entry.times(x.numel()) + row.times(x.numel() // max(width, 1))

    return work


def _parameters(work: Work) -> Callable[[Arguments, Any], Work]:
    return lambda arguments, result: work.times(sum(param.numel() for param in arguments["params"]))


def _sum(arguments: Arguments, result: Any) -> Work:
    return Work(additions=arguments["x"].numel())


def _matmul(arguments: Arguments, result: Any) -> Work:
    return _PRODUCT.times(result.numel() * arguments["a"].shape[-1])


def _matmul_grad(arguments: Arguments, result: Any) -> Work:
    return _PRODUCT.times(result.numel() * arguments["grad"].shape[-1])


def _linear(arguments: Arguments, result: Any) -> Work:
    bias = 0 if arguments["bias"] is None else result.numel()
    return _PRODUCT.times(result.numel() * arguments["x"].shape[-1]) + Work(additions=bias)


_FORMULAS: Final[Mapping[str, Callable[[Arguments, Any], Work]]] = {
    **{name: _entries(work) for name, work in _ENTRY.items()},
    **{name: _rows(name) for name in _ROWS},
    **{name: _parameters(work) for name, work in _PARAMETER.items()},
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
