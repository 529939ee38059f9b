"""Operations outside of ``aten``: this library's, and those of ``torch.distributed``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch

from mulfree.catalog.kinds import Kind
from mulfree.catalog.names import names

# Messages: data are moved, not computed with.
_MESSAGES: Final = names("""
    broadcast send recv recv_any_source allgather allgather_coalesced allgather_into_tensor_coalesced _allgather_base
    gather scatter alltoall alltoall_base barrier monitored_barrier all_gather_into_tensor all_gather_into_tensor_out
    all_gather_into_tensor_coalesced all_to_all_single wait_tensor _wrap_tensor_autograd
""")

# Sums, unless the operator they are given averages or multiplies.
_REDUCTIONS: Final = names("""
    allreduce allreduce_coalesced reduce reduce_scatter _reduce_scatter_base reduce_scatter_tensor_coalesced
    all_reduce all_reduce_coalesced reduce_scatter_tensor reduce_scatter_tensor_out
""")
_ADDING: Final = names("sum min max band bor bxor")

# Copies of fully sharded modules into and out of the buffers that are sent.
_SHARDED: Final = names("all_gather_copy_in chunk_cat copy split_with_sizes_copy")

_COLLECTIVES: Final = names("c10d _c10d_functional _c10d_functional_autograd")


def _operator(arguments: Mapping[str, Any]) -> str:
    """Name of the operator of a reduction in small letters; it comes as a word or as torch's ``ReduceOp``, boxed."""
    given: Any = arguments.get("reduce_op", "sum")
    if operator := getattr(given, "op", None):
        given = torch.distributed.ReduceOp.RedOpType(operator()).name
    return str(given).lower()


def kind_elsewhere(func: torch._ops.OpOverload, arguments: Mapping[str, Any]) -> Kind:
    """The kind of a call of an operation that is not torch's ``aten``."""
    if func.namespace == "mulfree":
        return Kind.PIECEWISE_AFFINE
    if func.namespace == "profiler":
        return Kind.FREE
    name = func._schema.name.partition("::")[2].rstrip("_")
    if func.namespace == "fsdp" and name in _SHARDED:
        return Kind.FREE
    if func.namespace in _COLLECTIVES:
        if name in _MESSAGES:
            return Kind.FREE
        if name in _REDUCTIONS:
            return Kind.FREE if _operator(arguments) in _ADDING else Kind.MULTIPLYING
    return Kind.UNKNOWN
