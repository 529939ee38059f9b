"""The combinational units against ``numerics/scalar.py`` in Amaranth's simulator."""

from __future__ import annotations

import gc
import re
from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("amaranth", reason="Amaranth is not installed: pip install 'mulfree[hdl]'")

from mulfree.hardware.rtl import BFLOAT16, FLOAT16, FLOAT32, UNITS, Format, rtlil, unit
from mulfree.hardware.rtl.ieee import IeeeMultiplier
from mulfree.hardware.rtl.simulation import clocked, results
from mulfree.hardware.rtl.vectors import Operation, golden_vectors
from mulfree.numerics import scalar

E8M4, E4M3, E3M2 = (Format.named(name) for name in ("E8M4", "E4M3", "E3M2"))
LAW: dict[str, Operation] = {"pam": "mul", "pad": "div", "exp2": "exp2", "log2": "log2", "ieee_adder": "add"}


def _assert_same(core: Any, vectors: list[tuple[int, ...]]) -> None:
    found = results(core, [vector[:-1] for vector in vectors])
    for vector, word in zip(vectors, found, strict=True):
        assert word == vector[-1], f"{[hex(part) for part in vector[:-1]]}: got {word:#x}, expected {vector[-1]:#x}"


@pytest.mark.parametrize("format", [FLOAT32, BFLOAT16, FLOAT16, E8M4, E3M2], ids=str)
@pytest.mark.parametrize("name", LAW)
def test_units_are_the_law(name: str, format: Format) -> None:
    """On all pairs of special words (in float32, a quarter of them in others) and on random ones."""
    thinned = 1 if format == FLOAT32 else 4
    vectors = golden_vectors(LAW[name], format, 2200).vectors[::thinned]
    _assert_same(unit(name, format, registers=False), vectors)


@pytest.mark.parametrize("alpha", [1.0435, 0.97, 1e30])
def test_compensated_products(alpha: float) -> None:
    core = unit("pam_compensated", FLOAT32, registers=False, alpha=alpha)
    _assert_same(core, golden_vectors("mul", FLOAT32, 2000, alpha=alpha).vectors[::2])
    core = unit("pam_compensated", E8M4, registers=False, alpha=alpha)
    _assert_same(core, golden_vectors("mul", E8M4, 500, alpha=alpha).vectors)


@pytest.mark.parametrize(
    ("format", "result"), [(FLOAT32, FLOAT32), (BFLOAT16, BFLOAT16), (FLOAT16, FLOAT32), (E4M3, E4M3)], ids=str
)
def test_the_multiplier_rounds_once(format: Format, result: Format) -> None:
    operands = [vector[:2] for vector in golden_vectors("mul", format, 2200).vectors[::2]]
    vectors = [(a, b, _ieee_product(a, b, format, result)) for a, b in operands]
    _assert_same(IeeeMultiplier(format, result), vectors)


def _ieee_product(a: int, b: int, format: Format, result: Format) -> int:
    """In exact fractions. Special operands as for PAM."""
    sign = (a ^ b) >> format.magnitude_bits << result.magnitude_bits
    numbers = [_number(word & (format.sign - 1), format) for word in (a, b)]
    if None in numbers or 0 in numbers:
        special = scalar.mul(format.widened(a), format.widened(b))
        return result.nan if scalar.is_nan(special) else sign | (result.inf if scalar.is_infinite(special) else 0)
    return sign | result.word(numbers[0] * numbers[1])  # type: ignore[operator]


def _number(magnitude: int, format: Format) -> Fraction | None:
    if magnitude >= format.inf:
        return None
    if magnitude < format.step:
        return Fraction(0)
    exponent = (magnitude >> format.mantissa_bits) - format.bias - format.mantissa_bits
    return Fraction(magnitude & format.step - 1 | format.step) * Fraction(2) ** exponent


@pytest.mark.parametrize("name", ["pam_multiply_add", "ieee_multiply_add"])
def test_multiply_add_is_a_product_and_a_sum(name: str) -> None:
    for format in (FLOAT32, FLOAT16):
        pairs = [vector[:2] for vector in golden_vectors("mul", format, 2600).vectors[::8]]
        sums = [vector[0] for vector in golden_vectors("add", FLOAT32, 2600).vectors[::8]]
        vectors = []
        for (a, b), c in zip(pairs, sums, strict=True):
            pam = scalar.mul(format.widened(a), format.widened(b))
            product = pam if name.startswith("pam") else _ieee_product(a, b, format, FLOAT32)
            vectors.append((a, b, c, scalar.add(c, product)))
        _assert_same(unit(name, format, registers=False), vectors)


def test_registers_delay_by_two_cycles() -> None:
    vectors = golden_vectors("mul", BFLOAT16, 300).vectors[200:]
    cycles = [{"a": a, "b": b} for a, b, _ in vectors] + [{}, {}]
    found = clocked(unit("pam", BFLOAT16), cycles, ["y"])
    assert [words["y"] for words in found[2:]] == [y for _, _, y in vectors]


def _ports(name: str, **options: Any) -> dict[str, int]:
    """Names and widths of the ports in RTLIL."""
    text = rtlil(name, BFLOAT16, **options)
    top = text[text.index(f"module \\{name}_bfloat16") :]
    found = re.findall(r"wire(?: width (\d+))? (?:input|output) \d+\s+\\(\S+)", top[: top.index("\nend\n")])
    return {port: int(width or 1) for width, port in found}


def test_every_unit_is_built_with_its_ports() -> None:
    clock = {"clk": 1, "rst": 1}
    binary, unary, sums = {"a": 16, "b": 16, "y": 16}, {"a": 16, "y": 16}, {"a": 16, "b": 16, "c": 32, "y": 32}
    mac = {"a": 16, "b": 16, "clear": 1, "enable": 1, "sum": 32, **clock}
    dot = {"a_0": 16, "a_1": 16, "b_0": 16, "b_1": 16, "valid": 1, "first": 1, "last": 1, "y": 32, "done": 1, **clock}
    tile = {"load": 1, "w_0": 16, "a_0": 16, "a_1": 16, "sum_in_0": 32, "sum_out_0": 32, **clock}
    for name, kind in UNITS.items():
        if kind.elementwise:
            expected = sums if kind.sums else unary if name in ("exp2", "log2") else binary
            assert _ports(name, registers=False) == expected
            assert _ports(name) == expected | clock
    for product in ("pam", "ieee"):
        assert _ports(f"{product}_mac") == mac
        assert _ports(f"{product}_dot", lanes=2) == dot
        assert _ports(f"{product}_tile", rows=2, columns=1) == tile


@pytest.mark.parametrize(
    ("name", "format", "options", "reason"),
    [
        ("pem", FLOAT32, {}, "unit must be one of pam"),
        ("pam", FLOAT32, {"alpha": 1.1}, "no option alpha"),
        ("pam_mac", Format.named("E9M4"), {}, "does not hold E9M4"),
        ("pam_dot", BFLOAT16, {"lanes": 3}, "lanes must divide"),
        ("pam_tile", BFLOAT16, {"rows": 0}, "at least one row"),
        ("pam_compensated", FLOAT16, {"alpha": 1e6}, "positive, finite and normal"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*created but never used")
def test_errors(name: str, format: Format, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unit(name, format, **options)
    gc.collect()  # Amaranth warns when it deletes what was never built
