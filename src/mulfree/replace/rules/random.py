"""Random numbers with a fraction, from random words, and the kinds of dropout that are compositions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import mulfree.functional as MF
from mulfree.ops.constants import difference, product, quotient, root
from mulfree.policy import Policy
from mulfree.replace.rules._rule import rule

_WORD_BITS = 24
"""Random bits of a number: as many as a float32 mantissa holds."""
_WORD_UNIT = float.fromhex("0x1p-24")
_NORMAL_TERMS = 12


def _fractions(shape: Any, dtype: torch.dtype | None, **options: Any) -> Tensor:
    """Uniform multiples of 2**-24 in [0, 1): a random word with its exponent moved, which is exact."""
    requires_grad = options.pop("requires_grad", False)
    for name in ("layout", "memory_format", "pin_memory"):
        options.pop(name, None)
    words = torch.randint(1 << _WORD_BITS, tuple(shape), **options).to(torch.float32)
    return MF.mul(words, _WORD_UNIT).to(dtype or torch.get_default_dtype()).requires_grad_(requires_grad)


def _normal(shape: Any, dtype: torch.dtype | None, **options: Any) -> Tensor:
    """Nearly normal: the sum of twelve uniform numbers less six has mean 0 and variance 1, and ends at +-6."""
    requires_grad = options.pop("requires_grad", False)
    uniform = _fractions((*shape, _NORMAL_TERMS), torch.float32, **options)
    result: Tensor = MF.sum(uniform, -1) - _NORMAL_TERMS // 2
    return result.to(dtype or torch.get_default_dtype()).requires_grad_(requires_grad)


def _require(fine: bool, function: str, name: str, expected: str, got: Any) -> None:
    if not fine:
        raise RuntimeError(f"{function}(): '{name}' must be {expected}, got {got}")


def _shape(size: tuple[Any, ...], options: dict[str, Any]) -> tuple[int, ...]:
    given = options.pop("size", None)
    if given is None:
        given = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    return tuple(given)


def _as(input: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    return {"dtype": input.dtype, "device": input.device} | {k: v for k, v in options.items() if v is not None}


@rule("rand")
def _rand(policy: Policy, *size: Any, **options: Any) -> Tensor:
    shape = _shape(size, options)
    return _fractions(shape, options.pop("dtype", None), **options)


@rule("rand_like")
def _rand_like(policy: Policy, input: Tensor, **options: Any) -> Tensor:
    return _fractions(input.shape, **_as(input, options))


@rule("randn")
def _randn(policy: Policy, *size: Any, **options: Any) -> Tensor:
    shape = _shape(size, options)
    return _normal(shape, options.pop("dtype", None), **options)


@rule("randn_like")
def _randn_like(policy: Policy, input: Tensor, **options: Any) -> Tensor:
    return _normal(input.shape, **_as(input, options))


@rule("normal")
def _normal_of(policy: Policy, input: Any, *args: Any, **options: Any) -> Tensor:
    """``Tensor.normal_(mean, std)``, or ``torch.normal(mean, std, size)`` with numbers or tensors."""
    # In place the first argument is the tensor to fill, else the mean.
    fills = isinstance(input, Tensor) and (len(args) == 2 or not (args or isinstance(options.get("std"), Tensor)))
    mean, std = (
        (*args, *(0.0, 1.0)[len(args) :])[:2] if fills else (input, args[0] if args else options.pop("std", 1.0))
    )
    mean, std = options.pop("mean", mean), options.pop("std", std)
    if not isinstance(std, Tensor):
        _require(std >= 0, "normal", "std", "at least 0", std)
    like = input if fills else next((x for x in (mean, std) if isinstance(x, Tensor)), None)
    if like is None:
        shape = _shape(args[1:], options)
        noise = _normal(shape, options.pop("dtype", None), **options)
    else:
        shapes = [x.shape for x in (mean, std) if isinstance(x, Tensor)]
        shape = torch.broadcast_shapes(input.shape, *shapes) if fills else torch.broadcast_shapes(*shapes)
        noise = _normal(shape, **_as(like, options))
    result: Tensor = MF.mul(noise, std) + mean
    return result


@rule("uniform")
def _uniform(policy: Policy, input: Tensor, *bounds: float, **options: Any) -> Tensor:
    """``Tensor.uniform_``."""
    low, high = (*bounds, *(0.0, 1.0)[len(bounds) :])
    low, high = options.pop("from", low), options.pop("to", high)
    _require(low <= high, "uniform_", "to", f"at least {low}", high)
    result: Tensor = MF.mul(_fractions(input.shape, **_as(input, options)), difference(high, low)) + low
    return result


@rule("exponential")
def _exponential(policy: Policy, input: Tensor, lambd: float = 1.0, **options: Any) -> Tensor:
    """``Tensor.exponential_``: ``div(-log(1 - u), lambd)``."""
    _require(lambd > 0, "exponential_", "lambd", "positive", lambd)
    return MF.div(-MF.log(1 - _fractions(input.shape, **_as(input, options))), lambd)


@rule("bernoulli")
def _bernoulli(policy: Policy, input: Tensor, p: Any = None, *, generator: torch.Generator | None = None) -> Tensor:
    """1 with probability p, which is rounded up to a multiple of 2**-24; ``Tensor.bernoulli_`` passes here too."""
    words = _fractions(input.shape, torch.float32, device=input.device, generator=generator)
    return (words < (input if p is None else p)).to(input.dtype)


def _channels(input: Tensor) -> Tensor:
    """Ones, one for each channel: ``(batch, channels, 1, ...)``."""
    return input.new_ones((*input.shape[:2], *(1 for _ in input.shape[2:])))


@rule("feature_dropout")
def _feature_dropout(policy: Policy, input: Tensor, p: float, train: bool) -> Tensor:
    """Whole channels: ``mul(x, dropout(1))``."""
    return MF.mul(input, MF.dropout(_channels(input), p)) if train and p else input


@rule("alpha_dropout")
def _alpha_dropout(
    policy: Policy, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    return _self_normalizing(input, torch.ones_like(input), p, inplace) if training and p else input


@rule("feature_alpha_dropout")
def _feature_alpha_dropout(
    policy: Policy, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    return _self_normalizing(input, _channels(input), p, inplace) if training and p else input


_SATURATION = 1.7580993408473766
"""scale * alpha of SELU (Klambauer et al., 2017)."""


def _self_normalizing(input: Tensor, ones: Tensor, p: float, inplace: bool) -> Tensor:
    """Dropped entries become SELU's lower limit, then the affine map that keeps mean and variance."""
    kept = difference(1.0, p)
    spread = product(product(_SATURATION, _SATURATION), p)
    scale = quotient(1.0, root(product(difference(spread, -1.0), kept)))
    drop = torch.ones_like(input, dtype=torch.bool) & (MF.dropout(ones, p) == 0)
    shift = product(product(scale, _SATURATION), p)
    result = MF.mul(input.masked_fill(drop, -_SATURATION), scale) + shift
    return input.copy_(result) if inplace else result
