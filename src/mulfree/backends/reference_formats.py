"""float16 and bfloat16 tensors to and from words: widened exactly, rounded once, half-even (spec 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from mulfree.backends.reference_words import (
    canonical,
    floats,
    from_fixed_point,
    is_nan,
    is_zero,
    round_half_even,
    words,
)
from mulfree.numerics.formats import EXPONENT_BIAS, INF, MAGNITUDE, MANTISSA, MANTISSA_BITS, SIGN, STEP

_HALF_SIGN = 0x8000
_HALF_INF = 0x7C00
_HALF_NAN = 0x7E00
_HALF_MANTISSA_BITS = 10
_HALF_MANTISSA = 0x3FF
_HALF_LEAST_EXPONENT = -14
_HALF_DROP = MANTISSA_BITS - _HALF_MANTISSA_BITS
_HALF_REBIAS = (EXPONENT_BIAS - 15) << MANTISSA_BITS
_BFLOAT_NAN = 0x7FC0


def widen(x: Tensor) -> Tensor:
    """Words of a float32, float16 or bfloat16 tensor."""
    if x.dtype == torch.float32:
        return words(x)
    short = x.view(torch.int16).to(torch.int64) & 0xFFFF
    return short << 16 if x.dtype == torch.bfloat16 else _from_half(short)


def shorten(a: Tensor, dtype: torch.dtype) -> Tensor:
    """The contiguous tensor of ``dtype`` (float32, float16 or bfloat16) nearest to the words ``a``."""
    if dtype == torch.float32:
        return floats(a)
    short = _to_bfloat(a) if dtype == torch.bfloat16 else _to_half(a)
    signed = (short ^ _HALF_SIGN) - _HALF_SIGN
    return signed.to(torch.int16).contiguous().view(dtype)


def _from_half(short: Tensor) -> Tensor:
    sign = (short & _HALF_SIGN) << 16
    magnitude = short & ~_HALF_SIGN
    normal = (magnitude << _HALF_DROP) + _HALF_REBIAS
    small = from_fixed_point(magnitude, _HALF_MANTISSA_BITS - _HALF_LEAST_EXPONENT)
    result = torch.where(magnitude <= _HALF_MANTISSA, small, normal)
    result = torch.where(magnitude >= _HALF_INF, (magnitude << _HALF_DROP) | INF, result)
    return canonical(sign | result)


def _to_half(a: Tensor) -> Tensor:
    sign = (a & SIGN) >> 16
    magnitude = a & MAGNITUDE
    exponent = (magnitude >> MANTISSA_BITS) - EXPONENT_BIAS
    normal = round_half_even((magnitude - _HALF_REBIAS).clamp(min=0), _HALF_DROP).clamp(max=_HALF_INF)
    drop = _HALF_DROP + (_HALF_LEAST_EXPONENT - exponent)
    small = round_half_even(magnitude & MANTISSA | STEP, drop.clamp(0, MANTISSA_BITS + 2))
    result = torch.where(exponent < _HALF_LEAST_EXPONENT, torch.where(is_zero(a), 0, small), normal)
    return torch.where(is_nan(a), _HALF_NAN, sign | result)


def _to_bfloat(a: Tensor) -> Tensor:
    rounded = (a & SIGN) >> 16 | round_half_even(a & MAGNITUDE, 16)
    return torch.where(is_nan(a), _BFLOAT_NAN, torch.where(is_zero(a), (a & SIGN) >> 16, rounded))
