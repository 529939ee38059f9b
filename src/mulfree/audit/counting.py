"""How many scalar multiplications a call stands for: an estimate for the report.

Matrix products, convolutions and attention count their multiply-accumulates; every other operation counts one
multiplication per element of its largest floating-point operand or result (one per result for a mean).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

_aten = torch.ops.aten


def scalar_multiplications(
    func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: object
) -> int:
    """Multiplications of one finished call; 0 only if there was nothing to multiply."""
    packet = func.overloadpacket
    operations: int | None = None
    if packet is _aten._scaled_dot_product_flash_attention_for_cpu:
        operations = sdpa_flop_count(*(x.shape for x in args[:3]))
    elif packet is _aten._scaled_dot_product_flash_attention_for_cpu_backward:
        operations = sdpa_backward_flop_count(*(x.shape for x in args[:4]))
    elif packet in flop_registry:
        operations = int(flop_registry[packet](*args, **kwargs, out_val=result))
    if operations is not None:
        return operations // 2  # a multiply-accumulate is two operations
    counted = [result] if packet is _aten.mean else [*args, *kwargs.values(), result]
    if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(counted)):
        return 1
    return max(map(_elements, counted))


def _elements(value: object) -> int:
    """Elements of a tensor or, for the operations on lists, of all tensors of a list; of several results the most."""
    sizes = [leaf.numel() for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return sum(sizes) if isinstance(value, list) else max(sizes, default=0)
