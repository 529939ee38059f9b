"""Host scalars: tensors that hold one, and the arithmetic on them, which is PA arithmetic too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from mulfree.numerics import scalar
from mulfree.numerics.number import PA
from mulfree.ops.registry import watched

_Function = TypeVar("_Function", bound=Callable[..., Any])


def host_only(function: _Function) -> _Function:
    """Mark a function of host numbers: the compiler shall call it, not look inside.

    The mark is that of ``torch.compiler.assume_constant_result``, which would import the compiler.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def constant(number: float, device: torch.device) -> Tensor:
    """A float32 tensor without dimensions that holds ``number`` rounded to float32. Not to be changed."""
    return _new(number, device) if watched() or capturing(device) else _kept(number, device)


def table(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> Tensor:
    """``torch.tensor(values)``, kept: it need not be sent to ``device`` again, which a captured graph could not.

    Not to be changed.
    """
    values = tuple(values)
    if watched():
        return torch.tensor(values, dtype=dtype, device=device)
    found = _kept_table(values, dtype, device)
    if capturing(device):
        _captured[values, dtype, device] = found
    return found


@lru_cache(maxsize=1024)
def _kept_table(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


_captured: dict[tuple[tuple[float, ...], torch.dtype, torch.device], Tensor] = {}
"""Tables that graphs read whenever they are replayed."""


def capturing(device: torch.device) -> bool:
    """A CUDA graph is being captured on the current stream of ``device``: nothing made now can be read or kept."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_current_stream_capturing()


def readable(x: Tensor) -> bool:
    """Whether numbers of ``x`` can be read: not while a graph is captured or traced, nor on the device ``meta``."""
    has_numbers = type(x) in (Tensor, torch.nn.Parameter) and not x.is_meta
    return has_numbers and not torch.compiler.is_compiling() and not capturing(x.device)


def _new(number: float, device: torch.device) -> Tensor:
    return torch.full((), rounded(number), dtype=torch.float32, device=device)


@lru_cache(maxsize=1024)
def _kept(number: float, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return _new(number, device)


@host_only
def rounded(number: float) -> float:
    """``number`` rounded to float32; too large becomes infinity."""
    return float(PA(number))


@host_only
def product(a: float, b: float) -> float:
    """PAM of two numbers, each rounded to float32."""
    return float(PA(a) * b)


@host_only
def quotient(a: float, b: float) -> float:
    """PAD of two numbers, each rounded to float32."""
    return float(PA(a) / b)


@host_only
def difference(a: float, b: float) -> float:
    """a - b of two numbers, each rounded to float32."""
    return float(PA(a) - b)


@host_only
def root(a: float) -> float:
    """PA square root of a number rounded to float32."""
    return float(PA(a).sqrt())


@host_only
def offset(factor: float) -> int:
    """The integer that a compensation by ``factor`` adds to a product (spec 2).

    Raises:
        ValueError: ``factor`` is not positive, finite and normal.
    """
    return scalar.compensation_offset(scalar.bits(factor))
