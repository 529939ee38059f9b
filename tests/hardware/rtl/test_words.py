"""Formats of the hardware units; no Amaranth."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
import torch

from mulfree.hardware.rtl import BFLOAT16, FLOAT16, FLOAT32, Format
from mulfree.hardware.rtl.vectors import special_words
from mulfree.numerics import formats, scalar


def test_float32_has_the_words_of_the_law() -> None:
    found = FLOAT32.one, FLOAT32.step, FLOAT32.inf, FLOAT32.nan, FLOAT32.sign, FLOAT32.bias
    assert found == (formats.ONE, formats.MIN, formats.INF, formats.NAN, formats.SIGN, formats.EXPONENT_BIAS)
    assert (BFLOAT16.nan, FLOAT16.nan) == (0x7FC0, 0x7E00)


def test_names() -> None:
    for name in ("float32", "bfloat16", "float16", "E8M4", "E3M52"):
        assert str(Format.named(name)) == name
    assert str(Format.named("e5m10")) == "float16"


@pytest.mark.parametrize("name", ["float64", "E2M4", "E12M4", "E8M0", "E8M53", "M4E8", ""])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="format"):
        Format.named(name)


def test_words_of_numbers() -> None:
    numbers = random.Random(0)
    for _ in range(500):
        number = numbers.uniform(0.5, 2) * 2.0 ** numbers.randint(-130, 129)
        assert FLOAT32.word(number) == scalar.flush(scalar.bits(number))
    assert FLOAT16.word(65520) == FLOAT16.inf
    assert FLOAT16.word(Fraction(65519)) == FLOAT16.inf - 1
    assert Format.named("E8M4").offset(1.0) == 0
    for alpha in (0.0, -1.0, 1e-40, 1e39):
        with pytest.raises(ValueError, match="compensation"):
            FLOAT32.offset(alpha)


@pytest.mark.parametrize(("format", "dtype"), [(BFLOAT16, torch.bfloat16), (FLOAT16, torch.float16)])
def test_conversions_are_those_of_torch_without_denormals(format: Format, dtype: torch.dtype) -> None:
    words = np.arange(1 << 16, dtype=np.uint16)
    wide = torch.from_numpy(words.view(np.int16)).view(dtype).float().numpy().view(np.uint32)
    for word in map(int, words[::7]):
        magnitude = word & (format.sign - 1)
        found = format.widened(word)
        if magnitude < format.step:
            assert found == (word >> 15) << 31
        elif magnitude <= format.inf:
            assert found == int(wide[word])
        else:
            assert scalar.is_nan(found)
    numbers = [random.Random(1).getrandbits(32) for _ in range(3000)] + special_words(FLOAT32)
    narrow = torch.tensor(numbers, dtype=torch.uint32).view(torch.float32).to(dtype).view(torch.int16)
    for word, expected in zip(numbers, (int(w) & 0xFFFF for w in narrow), strict=True):
        magnitude = expected & (format.sign - 1)
        if magnitude > format.inf:
            assert format.narrowed(word) == format.nan
        else:
            assert format.narrowed(word) == (expected if magnitude >= format.step else expected & format.sign)
