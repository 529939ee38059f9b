"""What one call of a PyTorch operation is: free of multiplications, multiplying, or unknown.

Most operations are decided by their name (``catalog.free``, ``catalog.multiplying``), some by their arguments. An
operation that neither takes nor returns floating-point numbers is integer arithmetic, whatever its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from mulfree.catalog.free import FREE
from mulfree.catalog.kinds import Kind
from mulfree.catalog.multiplying import MULTIPLYING
from mulfree.catalog.names import plain_name
from mulfree.catalog.namespaces import kind_elsewhere


def _scaled_by_alpha(arguments: Mapping[str, Any]) -> bool:
    return arguments.get("alpha", 1) not in (1, -1)


def _multiplying_reduce(arguments: Mapping[str, Any]) -> bool:
    return arguments.get("reduce") in ("multiply", "prod", "mean")


def _complex(arguments: Mapping[str, Any]) -> bool:
    return any(isinstance(leaf, Tensor) and leaf.is_complex() for leaf in tree_leaves(dict(arguments)))


def _to_decimals(arguments: Mapping[str, Any]) -> bool:
    return bool(arguments.get("decimals", 0) != 0)


# Operations whose arguments decide: name -> does this call multiply?
CONDITIONAL: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "add": _scaled_by_alpha,
    "sub": _scaled_by_alpha,
    "subtract": _scaled_by_alpha,
    "rsub": _scaled_by_alpha,
    "_add_relu": _scaled_by_alpha,
    "index_add": _scaled_by_alpha,
    "scatter": _multiplying_reduce,
    "scatter_reduce": _multiplying_reduce,
    "index_reduce": _multiplying_reduce,
    "segment_reduce": _multiplying_reduce,
    "abs": _complex,
    "absolute": _complex,
    "sgn": _complex,
    "round": _to_decimals,
    "special_round": _to_decimals,
    "embedding_backward": lambda arguments: bool(arguments.get("scale_grad_by_freq")),
    "embedding_sparse_backward": lambda arguments: bool(arguments.get("scale_grad_by_freq")),
    "embedding_dense_backward": lambda arguments: bool(arguments.get("scale_grad_by_freq")),
}


def bound(func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name."""
    names = [argument.name for argument in func._schema.arguments]
    return dict(zip(names, args, strict=False)) | dict(kwargs)


def _in_integers(*values: object) -> bool:
    """True if there are tensors and none holds floating-point or complex numbers."""
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return bool(tensors) and not any(t.is_floating_point() or t.is_complex() for t in tensors)


def classify(func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: object) -> Kind:
    """The kind of one finished call."""
    if func.namespace != "aten":
        return kind_elsewhere(func, bound(func, args, kwargs))
    name = plain_name(func._schema.name.removeprefix("aten::"))
    arithmetic = name in MULTIPLYING or name in CONDITIONAL
    if arithmetic and _in_integers(args, dict(kwargs), result):
        return Kind.INTEGER
    if name in CONDITIONAL:
        return Kind.MULTIPLYING if CONDITIONAL[name](bound(func, args, kwargs)) else Kind.FREE
    if name in MULTIPLYING:
        return Kind.MULTIPLYING
    return Kind.FREE if name in FREE else Kind.UNKNOWN
