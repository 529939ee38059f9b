"""The constants are IEEE's, and those of the kernels are the same."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from mulfree.numerics import formats

HEADER = Path(__file__).parents[2] / "csrc" / "law" / "law.hpp"


def _word(number: float) -> int:
    return int(np.float32(number).view(np.uint32))


def test_constants_are_those_of_binary32() -> None:
    info = np.finfo(np.float32)
    assert _word(1.0) == formats.ONE
    assert _word(2.0) == formats.TWO
    assert _word(info.tiny) == formats.MIN
    assert _word(info.max) == formats.MAX
    assert _word(math.inf) == formats.INF
    assert _word(-0.0) == formats.SIGN
    assert formats.MAGNITUDE == formats.SIGN - 1
    assert formats.MANTISSA == formats.STEP - 1
    assert formats.STEP == 1 << formats.MANTISSA_BITS == _word(2.0) - _word(1.0)
    assert formats.EXPONENT_BIAS << formats.MANTISSA_BITS == formats.ONE
    assert _word(math.log2(math.e)) == formats.LOG2E
    assert _word(math.log(2)) == formats.LN2
    assert _word(0.044715) == formats.GELU_CUBIC
    assert _word(2 * math.sqrt(2 / math.pi)) == formats.GELU_SCALE


def _header_constants() -> dict[str, int]:
    """``kDotChunk = 256`` as ``{"DOT_CHUNK": 256}``; the expressions in use are literals, one shift and INT32_MIN."""
    found = {}
    for name, expression in re.findall(r"constexpr \S+ k(\w+) = ([^;]+);", HEADER.read_text()):
        python_name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        shift = re.fullmatch(r"(\d+) << (\d+)", expression)
        if expression == "INT32_MIN":
            found[python_name] = 1 << 31
        elif shift:
            found[python_name] = int(shift[1]) << int(shift[2])
        else:
            found[python_name] = int(expression, 0)
    return found


def test_the_kernels_use_the_same_constants() -> None:
    if not HEADER.exists():
        pytest.skip("the kernels' sources are not here")
    constants = _header_constants()
    assert {"ONE", "NAN", "LOG2E", "DOT_CHUNK", "SUM_CHUNK", "SUM_LANES"} <= constants.keys()
    for name, number in constants.items():
        assert getattr(formats, name) == number, name
