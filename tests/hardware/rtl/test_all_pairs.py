"""Units as native code (CXXRTL): all pairs of bfloat16 against the kernels' bits, and float32 against the law."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("amaranth", reason="Amaranth is not installed: pip install 'mulfree[hdl]'")

from mulfree import functional as MF
from mulfree.hardware.rtl import BFLOAT16, FLOAT32, unit
from mulfree.hardware.rtl.compiled import Compiled, missing
from mulfree.hardware.rtl.vectors import Operation, golden_vectors

pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=str(missing()))]

WORDS = 1 << 16
BLOCK = 64


def _tensor(words: NDArray[np.uint16]) -> torch.Tensor:
    return torch.from_numpy(words.view(np.int16)).view(torch.bfloat16)


@pytest.mark.parametrize(("name", "operation"), [("pam", "mul"), ("pad", "div"), ("ieee_adder", "add")])
def test_all_pairs_of_bfloat16(name: str, operation: str) -> None:
    compiled = Compiled(unit(name, BFLOAT16, registers=False))
    b = np.tile(np.arange(WORDS, dtype=np.uint16), BLOCK)
    right = _tensor(b)
    for start in range(0, WORDS, BLOCK):
        a = np.repeat(np.arange(start, start + BLOCK, dtype=np.uint16), WORDS)
        expected = _sum(a, b) if operation == "add" else getattr(MF, operation)(_tensor(a), right)
        words = expected.view(torch.int16).numpy().view(np.uint16)
        found = compiled(a, b)
        if not np.array_equal(found, words):
            at = int(np.flatnonzero(found != words)[0])
            raise AssertionError(f"{name} {a[at]:#x}, {b[at]:#x}: got {found[at]:#x}, expected {words[at]:#x}")


@pytest.mark.parametrize("name", ["exp2", "log2"])
def test_all_words_of_bfloat16(name: str) -> None:
    words = np.arange(WORDS, dtype=np.uint16)
    expected = getattr(MF, name)(_tensor(words)).view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(Compiled(unit(name, BFLOAT16, registers=False))(words), expected)


def _sum(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> torch.Tensor:
    """IEEE sums of flushed operands in float32, exact enough to be rounded again; flushed, with one NaN."""
    wide = [np.where(word & 0x7F80, word, word & 0x8000).astype(np.uint32) << 16 for word in (a, b)]
    left, right = (torch.from_numpy(words.view(np.int32)).view(torch.float32) for words in wide)
    total = left + right
    narrow = total.bfloat16()
    tiny = narrow.abs() < torch.finfo(torch.bfloat16).tiny
    flushed = torch.where(tiny, torch.copysign(torch.zeros_like(narrow), narrow), narrow)
    return torch.where(total.isnan(), torch.tensor(float("nan"), dtype=torch.bfloat16), flushed)


@pytest.mark.parametrize(
    ("name", "operation"),
    [("pam", "mul"), ("pad", "div"), ("exp2", "exp2"), ("log2", "log2"), ("ieee_adder", "add")],
)
def test_a_million_vectors_of_float32(name: str, operation: Operation) -> None:
    vectors = np.array(golden_vectors(operation, FLOAT32, 1_000_000).vectors, dtype=np.uint32).T
    found = Compiled(unit(name, FLOAT32, registers=False))(*vectors[:-1])
    assert np.array_equal(found, vectors[-1])
