"""``mulfree vectors``: what is in the files, and that it is the law."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
import torch

from mulfree import functional as MF
from mulfree.hardware.rtl import BFLOAT16, FLOAT16, FLOAT32, Format
from mulfree.hardware.rtl.vectors import OPERATIONS, Operation, golden_vectors, special_words
from mulfree.numerics import scalar
from tests.command_line import message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_special_words_first_then_random_ones(operation: Operation) -> None:
    found = golden_vectors(operation, count=3000).vectors
    arity = len(found[0]) - 1
    special = list(product(special_words(FLOAT32), repeat=arity))
    assert [vector[:-1] for vector in found[: len(special)]] == special
    law = getattr(scalar, operation)
    assert all(law(*vector[:-1]) == vector[-1] for vector in found)
    finite = sum(1 for vector in found if 0 < vector[-1] & 0x7FFFFFFF < FLOAT32.inf)
    assert finite > 500
    assert len({vector[:-1] for vector in found[len(special) :]}) > (3000 - len(special)) * 0.99
    assert golden_vectors(operation, count=3000).vectors == found
    assert golden_vectors(operation, count=3000, seed=1).vectors != found


@pytest.mark.parametrize("format", [BFLOAT16, FLOAT16])
@pytest.mark.parametrize("operation", ["mul", "div", "exp2", "log2"])
def test_narrow_results_are_those_of_tensors(format: Format, operation: Operation) -> None:
    """Where no denormals of float16 are involved, which the library keeps, and rounds, and the units flush."""
    dtype = torch.bfloat16 if format == BFLOAT16 else torch.float16
    found = golden_vectors(operation, format, 4000).vectors
    tensors = [torch.tensor(column, dtype=torch.uint16).view(dtype) for column in zip(*found, strict=True)]
    result = getattr(MF, operation)(*tensors[:-1])
    words = [int(word) & 0xFFFF for word in result.view(torch.int16)]
    compared = 0
    for vector, word in zip(found, words, strict=True):
        denormal = any(0 < part & 0x7FFF < format.step for part in vector) or 0 < word & 0x7FFF <= format.step
        if format == FLOAT16 and denormal:
            continue
        compared += 1
        assert vector[-1] == word, [hex(part) for part in vector]
    assert compared > 2000


def test_compensation() -> None:
    found = golden_vectors("mul", count=3000, alpha=1.0435).vectors
    offset = scalar.compensation_offset(scalar.bits(1.0435))
    assert all(scalar.mul(a, b, offset) == y for a, b, y in found)
    assert any(scalar.mul(a, b) != y for a, b, y in found)


def test_files(tmp_path: Path) -> None:
    text, data = tmp_path / "v.hex", tmp_path / "v.json"
    arguments = ("vectors", "--op", "mul", "--alpha", "1.05", "--format", "E8M4", "-n", "2000", "--seed", "5")
    assert "Wrote" in message(*arguments, "-o", str(text), code=0)
    message(*arguments, "-o", str(data), code=0)
    read = json.loads(data.read_text())
    expected = golden_vectors("mul", Format.named("E8M4"), 2000, alpha=1.05, seed=5).vectors
    assert [tuple(int(word, 16) for word in vector) for vector in read["vectors"]] == expected
    assert (read["words"], read["count"], read["alpha"], read["seed"]) == (["a", "b", "y"], 2000, 1.05, 5)
    assert (read["format"], read["exponent_bits"], read["mantissa_bits"]) == ("E8M4", 8, 4)
    lines = text.read_text().splitlines()
    assert lines[0].startswith("// mul in E8M4, compensation by 1.05: 2000 vectors, seed 5, by mulfree ")
    assert lines[1] == "// Words a, b, y from the left, each 13 bits in 16: reg [47:0]."
    assert [tuple(int(word, 16) for word in line.split("_")) for line in lines[2:]] == expected
    assert message("vectors", "--op", "exp2", "-n", "5", code=0).count("\n") == 7


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--format", "E9M4"), "at most 8 exponent and 10 mantissa bits"),
        (("--format", "E8M11"), "at most 8 exponent and 10 mantissa bits"),
        (("--op", "add", "--alpha", "1.1"), "compensation goes with mul only"),
        (("--alpha", "0"), "positive, finite and normal"),
        (("-o", "vectors.txt"), ".json or .hex"),
    ],
)
def test_errors(arguments: tuple[str, ...], reason: str) -> None:
    assert reason in message("vectors", *arguments, code=2)
