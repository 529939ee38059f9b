"""Multiplications of Python numbers are found in source code, and this library's scalars have none."""

from __future__ import annotations

from pathlib import Path

import pytest

import mulfree
from mulfree.audit.static import scalar_multiplications

PACKAGE = Path(mulfree.__file__).parent


def found(tmp_path: Path, source: str) -> list[str]:
    file = tmp_path / "module.py"
    file.write_text(source)
    return [finding.code for finding in scalar_multiplications(file)]


PARTS = ("functional", "numerics", "ops", "optim", "replace", "convert", "distributed.py")


@pytest.mark.parametrize("part", PARTS)
def test_this_librarys_scalars_are_never_multiplied(part: str) -> None:
    assert [str(finding) for finding in scalar_multiplications(PACKAGE / part)] == []


@pytest.mark.parametrize(
    "code",
    [
        "lr * 0.5",
        "lr / 2",
        "2 / 3",
        "lr ** 2",
        "step * lr",
        "step // lr",
        "group['lr'] * step",
        "(1 - lr) * (1 - lr)",
        "math.sqrt(lr)",
        "math.exp(lr)",
        "operator.mul(lr, lr)",
        "pow(lr, 2)",
        "math.prod([lr, lr])",
        "self.rate * step",
        "unknown(step) * 2",
        "weights[0] * 2",
        "lr @ lr",
        "sum(lr * x for x in weights)",
        "2 ** -3",
        "Fraction(lr) * lr",
        "Fraction(lr) ** 2",
        "float(Fraction(lr))",
        "[a * b for a, b in zip(weights, range(step))]",
        "(lambda x: x * 2)(lr)",
    ],
)
def test_multiplications_are_found(tmp_path: Path, code: str) -> None:
    source = (
        "import math, operator\n"
        "from fractions import Fraction\n"
        "class Optimizer:\n"
        "    def __init__(self, rate: float) -> None:\n"
        "        self.rate = rate\n"
        "    def step(self, lr: float, step: int, weights: list[float], group) -> float:\n"
        f"        return {code}\n"
    )
    assert found(tmp_path, source), code


@pytest.mark.parametrize(
    "code",
    [
        "lr + lr - 1.0",
        "2 * step",
        "step // 2 % 3",
        "2 ** step",
        "PA(lr) * 0.5",
        "0.5 / PA(lr)",
        "1 - PA(lr).sqrt() * lr",
        "PA(lr) ** 2",
        "[lr] * step",
        "'%d' % step",
        "f'{lr}' * 2",
        "sizes[0] * sizes[-1]",
        "len(weights) * step",
        "x.shape[0] * x.shape[1]",
        "math.prod(sizes)",
        "math.isfinite(lr)",
        "[n * n for n in range(step)]",
        "self.count * step",
        "self.double(step) * 2",
        "max(step, 1) * 2",
        "(step if lr > 0 else 1) * 2",
        "tensor * lr / 2",
        "tensor @ tensor.mT",
        "torch.tanh(tensor) * torch.sigmoid(x)",
        "step * (Fraction(lr) / 3) // 2 * step",
        "[a * b for a, b in zip(sizes, range(step))]",
        "math.prod(a for a, b in zip(sizes, weights))",
        "pow(lr, 2)",
    ],
)
def test_other_arithmetic_is_not(tmp_path: Path, code: str) -> None:
    source = (
        "import math, torch\n"
        "from fractions import Fraction\n"
        "from mulfree.functional import pow\n"
        "from mulfree.numerics.number import PA\n"
        "from torch import Tensor\n"
        "class Optimizer:\n"
        "    def __init__(self, count: int) -> None:\n"
        "        self.count = count\n"
        "    def double(self, x: int) -> int:\n"
        "        return x + x\n"
        "    def step(self, lr: float, step: int, sizes: tuple[int, ...], weights: list[float], x, tensor: Tensor)"
        " -> object:\n"
        f"        return {code}\n"
    )
    assert found(tmp_path, source) == []


def test_names_are_followed(tmp_path: Path) -> None:
    source = (
        "def free(n: int) -> int:\n"
        "    width = 32\n"
        "    while width > 1:\n"
        "        width //= 2\n"
        "        n *= width\n"
        "    a, b = n, width\n"
        "    return a * b\n"
        "def bound(n: int) -> float:\n"
        "    rate = 3\n"
        "    if n:\n"
        "        rate = 0.5\n"
        "    rate *= n\n"
        "    return rate * n\n"
        "def late(n: int) -> float:\n"
        "    for k in range(n):\n"
        "        k *= value\n"
        "        value = 0.5\n"
        "    return k\n"
    )
    assert found(tmp_path, source) == ["rate *= n", "rate * n", "k *= value"]


def test_a_declared_name_keeps_its_kind(tmp_path: Path) -> None:
    source = (
        "def f(given: dict, n: int) -> int:\n"
        "    count: int = given['count']\n"
        "    count = count * n\n"
        "    size: int\n"
        "    size, other = given['both']\n"
        "    return count * size * other\n"
    )
    assert found(tmp_path, source) == ["count * size * other"]


def test_functions_of_other_modules_are_followed(tmp_path: Path) -> None:
    (tmp_path / "lengths.py").write_text("def both() -> tuple[int, int]: ...\ndef rate() -> float: ...\n")
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "units.py").write_text("def both() -> tuple[int, int]: ...\ndef rate() -> float: ...\n")
    source = (
        "from lengths import both\n"
        "from package import units\n"
        "a, b = both()\n"
        "c, d = units.both()\n"
        "free, not_free = a * b * c * d, units.rate() * a\n"
    )
    assert found(tmp_path, source) == ["units.rate() * a"]


@pytest.mark.parametrize("source", ["import numpy as np", "from math import sqrt", "from operator import mul as plus"])
def test_hidden_functions_are_found(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source) == [source]


def test_annotations_and_signatures_are_no_arithmetic(tmp_path: Path) -> None:
    assert found(tmp_path, "def f(a: int, /, *args: int, b: 'list[int]' = [0] * 3, **kwargs: int) -> None: ...") == []


def test_a_finding_names_its_place(tmp_path: Path) -> None:
    file = tmp_path / "step.py"
    file.write_text("def f(x: float) -> float:\n    return x * 0.5\n")
    (finding,) = scalar_multiplications(tmp_path)
    assert (finding.path, finding.line, finding.code) == (str(file), 2, "x * 0.5")
    assert str(finding) == f"{file}:2: x * 0.5: * of unknown and unknown"
