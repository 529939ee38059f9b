"""Bit patterns that tests feed to backends, and the comparison of bits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_POSITIVE = (
    0x00000000,  # zero
    0x00000001,  # least denormal
    0x00400000,
    0x007FFFFF,  # largest denormal
    0x00800000,  # smallest normal
    0x00800001,
    0x00FFFFFF,
    0x01000000,
    0x20000000,  # 2**-63
    0x33000000,  # 2**-25: below half a unit of exp2's fixed point
    0x33800000,  # 2**-24: half a unit
    0x33800001,
    0x34000000,  # 2**-23: one unit
    0x34400000,  # 1.5 units
    0x3EFFFFFF,
    0x3F000000,  # 0.5
    0x3F317218,  # ln 2
    0x3F7FFFFF,  # before 1
    0x3F800000,  # 1
    0x3F800001,
    0x3FB8AA3B,  # log2(e)
    0x3FC00000,  # 1.5
    0x3FFFFFFF,
    0x40000000,  # 2
    0x40000001,
    0x40490FDB,
    0x41200000,  # 10
    0x42FBFFFF,
    0x42FC0000,  # 126
    0x42FC0001,
    0x42FE0000,  # 127
    0x42FFFFFF,  # before 128
    0x43000000,  # 128
    0x43000001,
    0x45800000,  # 4096: exp2's fixed point ends
    0x4B000000,  # 2**23
    0x4B800001,
    0x5F000000,  # 2**63
    0x7E800000,
    0x7F000000,  # 2**127
    0x7F7FFFFF,  # largest finite
    0x7F800000,  # infinity
    0x7F800001,  # signalling NaN
    0x7FC00000,  # canonical NaN
    0x7FFFFFFF,  # quiet NaN with payload
)

SPECIAL_WORDS = _POSITIVE + tuple(word | 0x80000000 for word in _POSITIVE)
"""Words at which an operation may change its mind, of both signs."""

INCOMING_WORDS = (0x3F800000, 0xBF800000, 0x40490FDB, 0x80000000, 0x00000000, 0x007FFFFF, 0x00800000, 0xFF7FFFFF)
INCOMING_WORDS += (0x7F800000, 0xFF800000, 0x7F800001, 0x20000001)
"""Gradients to meet every pair of special words."""


def from_words(words: Sequence[int]) -> Tensor:
    """float32 tensor with these bits."""
    signed = [word - (1 << 32) if word >> 31 else word for word in words]
    return torch.tensor(signed, dtype=torch.int32).view(torch.float32)


def to_words(x: Tensor) -> list[int]:
    """Bits of a float32 tensor in row-major order."""
    return [word & 0xFFFFFFFF for word in x.contiguous().view(torch.int32).flatten().tolist()]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_bits(count: int, seed: int) -> Tensor:
    """Uniform over all 2**32 words: every exponent, denormals and NaNs alike."""
    signed = torch.randint(-(1 << 31), 1 << 31, (count,), generator=_generator(seed))
    return signed.to(torch.int32).view(torch.float32)


def log_uniform(count: int, seed: int, low: int = -140, high: int = 140) -> Tensor:
    """Both signs, exponents uniform in [low, high): 0 below -126 by being denormal, infinite from 128 on."""
    generator = _generator(seed)
    exponents = torch.randint(low, high, (count,), generator=generator) + 127
    mantissas = torch.randint(0, 1 << 23, (count,), generator=generator)
    signs = torch.randint(0, 2, (count,), generator=generator) << 31
    magnitudes = torch.where(exponents > 0, (exponents.clamp(max=255) << 23) | mantissas, mantissas)
    magnitudes = torch.where(exponents >= 255, 0x7F800000, magnitudes)
    return (signs | magnitudes).to(torch.int32).view(torch.float32)


def mixed(count: int, seed: int) -> Tensor:
    """Half random words, half numbers of ordinary size, so that pairs stay in range and fall out of it."""
    choose = torch.rand(count, generator=_generator(seed + 1)) < 0.5
    bits, ordinary = random_bits(count, seed), log_uniform(count, seed + 2, -30, 30)
    return torch.where(choose, bits.view(torch.int32), ordinary.view(torch.int32)).view(torch.float32)


def normal(count: int, seed: int) -> Tensor:
    return torch.randn(count, generator=_generator(seed))


def relu_like(count: int, seed: int) -> Tensor:
    """Half zeros of both signs, half positive: activations."""
    x = normal(count, seed)
    negative = torch.where(torch.arange(count) % 2 == 0, 0.0, -0.0)
    return torch.where(x > 0, x, negative)


def gradient_like(count: int, seed: int) -> Tensor:
    """Small numbers over several orders of magnitude, a few zeros and a few so tiny that products underflow."""
    generator = _generator(seed)
    x = torch.randn(count, generator=generator) * torch.exp2(-12 + 4 * torch.randn(count, generator=generator))
    draw = torch.rand(count, generator=generator)
    return torch.where(draw < 0.01, 1e-36 * x, torch.where(draw < 0.05, 0.0, x))


def sprinkled(x: Tensor, seed: int, share: float = 0.002) -> Tensor:
    """``x`` with a share of its entries replaced by special words."""
    generator = _generator(seed)
    specials = from_words(SPECIAL_WORDS).view(torch.int32)
    picks = specials[torch.randint(0, len(specials), x.shape, generator=generator)]
    chosen = torch.rand(x.shape, generator=generator) < share
    return torch.where(chosen, picks, x.view(torch.int32)).view(torch.float32)


_INTEGERS = {torch.float32: torch.int32, torch.float16: torch.int16, torch.bfloat16: torch.int16}


def assert_same_bits(actual: Tensor, expected: Tensor, *operands: Tensor) -> None:
    """Fails with the first differing entry in hexadecimal, beside the operands there if they have that shape."""
    assert actual.dtype == expected.dtype, f"dtype {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    integer = _INTEGERS[expected.dtype]
    got, want = actual.contiguous().view(integer).flatten(), expected.contiguous().view(integer).flatten()
    wrong = (got != want).nonzero().flatten()
    if len(wrong) == 0:
        return
    at = int(wrong[0])
    mask = 0xFFFFFFFF if integer == torch.int32 else 0xFFFF
    at_operands = [x.contiguous().flatten()[at].view(integer) for x in operands if x.shape == expected.shape]
    described = ", ".join(hex(int(word) & mask) for word in at_operands)
    raise AssertionError(
        f"{len(wrong)} of {got.numel()} entries differ; first at {at}: got {int(got[at]) & mask:#x}, "
        f"expected {int(want[at]) & mask:#x}" + (f", operands {described}" if described else "")
    )
