"""Every unit is proved equal to the law for all operands, and no mutated unit is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("amaranth", reason="Amaranth is not installed: pip install 'mulfree[hdl]'")

from mulfree.hardware.rtl import BFLOAT16, FLOAT32, NAMED, Format, verilog, yosys
from mulfree.hardware.rtl.proof import OPERATIONS, netlist, prove, prove_netlist
from mulfree.hardware.rtl.vectors import evaluator
from tests.command_line import message

pytestmark = pytest.mark.skipif(not yosys.available(), reason=yosys.MISSING)

E8M4 = Format.named("E8M4")
FORMATS = [*NAMED.values(), E8M4]
SUMS = ("ieee_adder", "pam_multiply_add", "ieee_multiply_add")
QUICK = tuple(sorted(OPERATIONS.keys() - set(SUMS)))
MUTATIONS = {"and": "or", "or": "and", "xor": "and", "add": "sub"}


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("name", QUICK)
def test_units_equal_the_specification(name: str, format: Format) -> None:
    assert prove(name, format, alpha=1.0435 if name == "pam_compensated" else 1.0, seconds=60).proved


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("name", SUMS)
def test_sums_equal_the_specification(name: str, format: Format) -> None:
    assert prove(name, format).proved


def test_small_sums_equal_the_specification() -> None:
    assert prove("ieee_adder", Format(4, 3), seconds=60).proved


@pytest.mark.parametrize("format", [Format(3, 1), Format(6, 12), Format(11, 2)], ids=str)
def test_other_widths(format: Format) -> None:
    for name in ("pam", "pad", "log2", *(["exp2"] if format.exponent_bits < 8 else [])):
        assert prove(name, format, seconds=60).proved


@pytest.mark.parametrize("name", ["pam", "log2"])
def test_written_verilog_equals_the_specification(name: str, tmp_path: Path) -> None:
    (tmp_path / "unit.v").write_text(verilog(name, BFLOAT16, registers=False))
    yosys.run(["read_verilog unit.v", f"rename {name}_bfloat16 unit", "proc", "write_rtlil unit.il"], 60, tmp_path)
    assert prove_netlist((tmp_path / "unit.il").read_text(), name, BFLOAT16, seconds=60).proved


def _mutants(text: str) -> list[str]:
    """The netlist with one gate replaced: every place."""
    cells = re.finditer(rf"cell \$({'|'.join(MUTATIONS)}) ", text)
    return [text[: cell.start()] + f"cell ${MUTATIONS[cell[1]]} " + text[cell.end() :] for cell in cells]


@pytest.mark.parametrize(("name", "operation"), [("pam", "mul"), ("pad", "div"), ("exp2", "exp2"), ("log2", "log2")])
def test_mutated_gates_are_caught(name: str, operation: str) -> None:
    law = evaluator(operation, BFLOAT16)  # type: ignore[arg-type]
    mutants = _mutants(netlist(name, BFLOAT16))
    assert len(mutants) > 10
    for mutant in mutants[:: len(mutants) // 2]:
        proof = prove_netlist(mutant, name, BFLOAT16, seconds=60)
        assert not proof.proved
        assert proof.expected == law(*proof.operands) != proof.found, proof


@pytest.mark.parametrize("place", ["product", pytest.param("sum", marks=pytest.mark.slow)])
def test_mutated_sums_are_caught(place: str) -> None:
    """A gate of the product, and one of the adder behind it."""
    text = netlist("pam_multiply_add", E8M4)
    modules = {name: found.span() for name in ("multiplier", "adder") for found in [_module(text, name)]}
    start, end = modules["multiplier" if place == "product" else "adder"]
    mutants = _mutants(text[start:end])
    proof = prove_netlist(text[:start] + mutants[0] + text[end:], "pam_multiply_add", E8M4, seconds=60)
    assert not proof.proved
    assert len(proof.operands) == 3
    assert proof.found != proof.expected


def _module(text: str, name: str) -> re.Match[str]:
    found = re.search(rf"^module \\unit\.{name}\n.*?^end\n", text, re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_a_wrong_constant_is_caught() -> None:
    """Compensation that is off by one in the last place."""
    text = netlist("pam_compensated", FLOAT32, alpha=1.0435)
    proof = prove_netlist(text, "pam_compensated", FLOAT32, alpha=1.0435 + 2**-23)
    assert not proof.proved


def test_command() -> None:
    assert "equal to the law for all operands" in message("rtl", "pam", "--format", "float16", "--prove", code=0)
    assert "no proof of its own" in message("rtl", "pam_dot", "--prove", code=2)
    assert "longer than" in message("rtl", "ieee_adder", "--prove", "--seconds", "0.5", code=1)
