"""Mapped units, simulated as netlists, return the law's words: netlists, functions of cells and operands are right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mulfree.hardware.rtl import yosys
from mulfree.hardware.rtl.output import rtlil
from mulfree.hardware.rtl.vectors import Operation, golden_vectors
from mulfree.hardware.rtl.words import Format
from mulfree.hardware.switching import Generic, Library, Netlist, Stream, switching
from mulfree.hardware.synthesis import flows
from mulfree.hardware.synthesis.recipes import RECIPES
from tests.tiny_library import tiny_library

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'mulfree[hdl]'")
pytestmark = pytest.mark.skipif(not yosys.available(), reason=yosys.MISSING)


def _mapped(folder: Path, unit: str, format: Format, *mapping: str) -> Netlist:
    (folder / "unit.il").write_text(rtlil(unit, format, registers=False))
    (folder / "cells.lib").write_text(tiny_library(energies=True))
    commands = ["read_rtlil unit.il", "flatten -noscopeinfo", "synth -flatten -noabc", *mapping, "opt_clean"]
    yosys.run([*commands, "read_liberty cells.lib", "write_json design.json"], 120, folder)
    return Netlist.of_json(json.loads((folder / "design.json").read_text()))


def _results(netlist: Netlist, operands: list[list[int]]) -> list[int]:
    """Words of y for each set of operands."""
    columns = np.array(operands, np.uint64).T
    bits = {
        port: [column >> np.uint64(place) & np.uint64(1) for place in range(len(nets))]
        for (port, nets), column in zip(sorted(netlist.inputs.items()), columns, strict=True)
    }
    values = netlist.values(bits)
    total = np.zeros(len(operands), np.uint64)
    for place, net in enumerate(netlist.outputs["y"]):
        total |= (values[net] & np.uint64(1)) << np.uint64(place)
    return [int(word) for word in total]


@pytest.mark.parametrize(("unit", "operation"), [("pam", "mul"), ("pad", "div"), ("log2", "log2")])
@pytest.mark.parametrize("mapping", ["abc -g cmos4", "abc -liberty cells.lib"])
def test_words(tmp_path: Path, unit: str, operation: Operation, mapping: str) -> None:
    format = Format.named("E5M3")
    netlist = _mapped(tmp_path, unit, format, mapping)
    vectors = golden_vectors(operation, format, 3000).vectors
    assert _results(netlist, [list(vector[:-1]) for vector in vectors]) == [vector[-1] for vector in vectors]


def test_a_multiplier_of_cells_switches_more(tmp_path: Path) -> None:
    format, library, stream = Format.named("E4M5"), Library(tiny_library(energies=True)), Stream.gaussian()
    found = {
        unit: switching(
            _mapped(tmp_path, unit, format, "abc -liberty cells.lib"),
            library,
            stream.of_unit(unit, ["a", "b"], format),
        )
        for unit in ("pam", "ieee_multiplier")
    }
    assert 0 < found["pam"].quiet < found["pam"].glitching
    assert found["pam"].quiet < 0.6 * found["ieee_multiplier"].quiet
    assert (
        found["pam"].glitching / found["ieee_multiplier"].glitching
        < found["pam"].quiet / found["ieee_multiplier"].quiet
    )


def test_sums_are_those_that_the_unit_returns(tmp_path: Path) -> None:
    """c of a term is what multiply-add makes of the term before."""
    format, stream = Format.named("bfloat16"), Stream.gaussian()
    netlist = _mapped(tmp_path, "pam_multiply_add", format, "abc -g cmos4")
    words = stream.of_unit("pam_multiply_add", ["a", "b", "c"], format)
    results = _results(netlist, [list(row) for row in zip(words["a"], words["b"], words["c"], strict=True)])
    assert all(c == (0 if first else y) for c, first, y in zip(words["c"][1:], stream.first[1:], results, strict=False))


def test_flows_measure_the_same(tmp_path: Path) -> None:
    """Numbers of the flow are those of its netlist, whose gates do not depend on the operands."""
    numbers = flows.to_gates("pam", "E5M3", RECIPES[0], {"Gaussian": Stream.gaussian()}, 120)
    netlist = _mapped(tmp_path, "pam", Format.named("E5M3"), f"abc -g cmos4 -script {RECIPES[0].script}")
    expected = switching(netlist, Generic(), Stream.gaussian().of_unit("pam", ["a", "b"], Format.named("E5M3")))
    assert numbers["energy, Gaussian"] == pytest.approx(expected.quiet, rel=0.05)
    assert numbers["energy with glitches, Gaussian"] == pytest.approx(expected.glitching, rel=0.1)


def test_operands_are_rounded_as_numpy_rounds() -> None:
    """But for denormals, which are zeros, and logarithms, which are given magnitudes."""
    stream = Stream.gaussian()
    rounded = np.abs(stream.a).astype(np.float16)
    expected = np.where(rounded < np.float16(2**-14), np.float16(0), rounded).view(np.uint16)
    assert stream.of_unit("log2", ["a"], Format.named("float16"))["a"] == expected.tolist()
    signed = stream.of_unit("pam", ["a"], Format.named("float16"))["a"]
    assert signed == (expected | np.signbit(stream.a).astype(np.uint16) << 15).tolist()
