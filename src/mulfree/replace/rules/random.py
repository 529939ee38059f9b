"""Dropout and random numbers with a fraction, from random words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.policy import Policy
from mulfree.replace.rules._rule import rule

_WORD_BITS = 24  # as many as a float32 mantissa holds


def _fractions(*size: Any, **kwargs: Any) -> Tensor:
    """Uniform multiples of 2**-24 in [0, 1): a random word with its exponent moved, which is exact."""
    dtype = kwargs.pop("dtype", None) or torch.get_default_dtype()
    requires_grad = kwargs.pop("requires_grad", False)
    words = torch.randint(1 << _WORD_BITS, *size, **kwargs)
    return MF.mul(words.to(torch.float32), 2.0**-_WORD_BITS).to(dtype).requires_grad_(requires_grad)


@rule("rand")
def _rand(policy: Policy, *size: Any, **kwargs: Any) -> Tensor:
    sizes = kwargs.pop("size", None)
    if sizes is None:
        sizes = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    return _fractions(tuple(sizes), **kwargs)


@rule("rand_like")
def _rand_like(policy: Policy, input: Tensor, **kwargs: Any) -> Tensor:
    kwargs.pop("memory_format", None)
    dtype = kwargs.pop("dtype", None) or input.dtype
    return _fractions(tuple(input.shape), dtype=dtype, device=kwargs.pop("device", None) or input.device, **kwargs)


@rule("bernoulli")
def _bernoulli(policy: Policy, input: Tensor, p: Any = None, *, generator: torch.Generator | None = None) -> Tensor:
    """1 with probability p, which is rounded to a multiple of 2**-24; ``Tensor.bernoulli_`` passes here too."""
    chance = input if p is None else p
    words = _fractions(tuple(input.shape), dtype=torch.float32, device=input.device, generator=generator)
    return (words < chance).to(input.dtype)
