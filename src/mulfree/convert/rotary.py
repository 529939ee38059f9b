"""Rotary position embeddings: cosines and sines of whole-number positions, looked up in a table.

Modules of this kind compute ``cos(position * inv_freq)`` in every forward pass. The positions are whole numbers and
the frequencies are fixed by the architecture, so the values are constants: the module's own forward is run once for
positions 0 to n - 1, apart from any training step (the audit reports it under constants), and rows are taken from
the result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mulfree.catalog import constants

_TABLE = "_mulfree_rotary_table"
_FIXED = ("default", "linear", "llama3", "yarn")
"""Kinds whose frequencies do not depend on the length of the sequence."""


def is_rotary(module: torch.nn.Module) -> bool:
    """True for modules with a buffer ``inv_freq`` and ``forward(x, position_ids)``, as in Llama and its kin."""
    if not isinstance(getattr(module, "inv_freq", None), Tensor):
        return False
    return list(inspect.signature(type(module).forward).parameters)[1:] == ["x", "position_ids"]


def check(name: str, module: torch.nn.Module) -> None:
    """Raises NotImplementedError if the module's frequencies change with the length of the sequence."""
    kind = getattr(module, "rope_type", "default")
    if kind not in _FIXED:
        raise NotImplementedError(
            f"convert(): the rotary embedding {name!r} of kind {kind!r} has frequencies that change with the sequence; "
            f"known as constant are {', '.join(_FIXED)}. Exclude it with 'where'"
        )


def looked_up(
    module: torch.nn.Module, forward: Callable[..., Any], x: Tensor, position_ids: Tensor
) -> tuple[Tensor, ...]:
    """What ``forward(module, x, position_ids)`` returns, from the table; each of shape ``(*position_ids, width)``."""
    needed = int(position_ids.max()) + 1 if position_ids.numel() else 1
    tables: dict[Any, tuple[Tensor, ...]] = module.__dict__.setdefault(_TABLE, {})
    key = (x.dtype, x.device)
    if key not in tables or tables[key][0].shape[0] < needed:
        rows = 1 << (needed - 1).bit_length()
        with constants("rotary position embedding"), torch.no_grad():
            positions = torch.arange(rows, device=position_ids.device).unsqueeze(0)
            found = forward(module, x.new_empty(1), positions)
        tables[key] = tuple(table.squeeze(0) for table in found)
    return tuple(table[position_ids] for table in tables[key])


def forget(module: torch.nn.Module) -> None:
    """Drop the tables."""
    module.__dict__.pop(_TABLE, None)
