"""Real syntheses: one in seconds, the whole table in the slow suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mulfree.hardware.rtl import yosys
from mulfree.hardware.rtl.yosys import YosysError
from mulfree.hardware.synthesis import Plan, flows, measure, placement
from mulfree.hardware.synthesis.recipes import FAMILIES, RECIPES
from tests.command_line import message

pytest.importorskip("amaranth", reason="needs Amaranth: pip install 'mulfree[hdl]'")
pytestmark = pytest.mark.skipif(not yosys.available(), reason=yosys.MISSING)

# Four gates are enough for ABC; areas and times are made up.
_GATE = """
  cell({name}) {{ area : {area};
{inputs}    pin(Y) {{ direction : output; function : "{function}"; max_capacitance : 1.0;
{timing}    }} }}
"""
_TABLE = '{ index_1("0.1,1"); index_2("0.1,1"); values("1,2","2,3"); }'


def _liberty() -> str:
    def gate(name: str, area: int, inputs: str, function: str) -> str:
        pins = "".join(f"    pin({pin}) {{ direction : input; capacitance : 0.01; }}\n" for pin in inputs)
        tables = " ".join(
            f"{kind}(t) {_TABLE}" for kind in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
        )
        sense = "negative_unate" if "!" in function else "positive_unate"
        timing = "".join(
            f'      timing() {{ related_pin : "{pin}"; timing_sense : {sense}; {tables} }}\n' for pin in inputs
        )
        return _GATE.format(name=name, area=area, inputs=pins, function=function, timing=timing)

    head = 'library(tiny) { time_unit : "1ns"; capacitive_load_unit(1,pf); lu_table_template(t) { variable_1 : '
    head += 'input_net_transition; variable_2 : total_output_net_capacitance; index_1("0.1,1"); index_2("0.1,1"); }\n'
    gates = (("BUF", 2, "A", "A"), ("INV", 1, "A", "!A"), ("NAND2", 2, "AB", "!(A&B)"), ("NOR2", 2, "AB", "!(A|B)"))
    return head + "".join(gate(*row) for row in gates) + "}\n"


def test_pam_is_smaller_than_the_multiplier() -> None:
    pam, multiplier = (flows.to_gates(unit, "bfloat16", RECIPES[0], 120) for unit in ("pam", "ieee_multiplier"))
    assert 0.25 < pam["transistors"] / multiplier["transistors"] < 0.5
    assert pam["depth"] < multiplier["depth"]


def test_library(tmp_path: Path) -> None:
    path = tmp_path / "tiny cells.lib"
    path.write_text(_liberty())
    small = flows.to_library("pam", "E4M3", RECIPES[0], path, 120)
    large = flows.to_library("ieee_multiplier", "E4M3", RECIPES[0], path, 120)
    assert 0 < small["area"] < large["area"]
    assert 0 < small["delay"] < large["delay"]


def test_blocks_multiply() -> None:
    plain = flows.to_fpga("ieee_multiplier", "E4M3", "ice40", blocks=False, routed=False, seconds=120)
    assert plain["blocks"] == 0
    assert plain["registers"] == 3 * 8
    assert flows.to_fpga("ieee_multiplier", "bfloat16", "ice40", blocks=True, routed=False, seconds=120)["blocks"] == 1
    assert flows.multiplies("ieee_multiplier", "E4M3")
    assert not flows.multiplies("pam", "E4M3")


@pytest.mark.skipif(not placement.available(), reason=placement.MISSING)
@pytest.mark.slow
def test_place_and_route() -> None:
    assert flows.to_fpga("pam", "E4M3", "ecp5", blocks=False, routed=True, seconds=300)["fmax"] > 20


def test_time_runs_out() -> None:
    with pytest.raises(YosysError, match="took longer"):
        flows.to_gates("ieee_multiplier", "float32", RECIPES[1], 0.2)


def test_failures_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "empty.lib").write_text("library(nothing) { }\n")
    plan = Plan(units=("pam",), formats=("E4M3",), liberties={"empty": tmp_path / "empty.lib"})
    results = measure(plan)
    assert [point.target for point in results.points] == ["gates"] * 3
    assert len(results.failures) == 3
    assert all("liberty empty" in name for name in results.failures)


def test_command(tmp_path: Path) -> None:
    arguments = ("--unit", "pam", "--unit", "ieee_multiplier", "--format", "E4M3")
    output = message("hardware", "cost", *arguments, "--output", str(tmp_path), code=0)
    assert "IEEE multiplier" in output
    data = json.loads((tmp_path / "hardware-cost.json").read_text())
    assert {point["target"] for point in data["points"]} == {"gates"}
    assert (tmp_path / "hardware-cost.md").read_text().startswith("# Measured cost")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--unit", "pam_mac"), "--unit must be one of pam,"),
        (("--format", "float8"), "--format: format must be"),
        (("--liberty", "nothing.lib"), "--liberty: no file nothing.lib"),
        (("--fpga", "virtex"), "--fpga must be one of ecp5, ice40, xilinx, got 'virtex'"),
        (("--place",), "--place goes with --fpga ecp5"),
        (("--output", "nowhere"), "--output: no folder nowhere"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], text: str) -> None:
    assert text in message("hardware", "cost", *arguments, code=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_table() -> None:
    results = measure(Plan(families=tuple(FAMILIES), seconds=600))
    assert not results.failures
    for unit, format, low, high in (
        ("pam", "float32", 0.07, 0.15),
        ("pam", "float16", 0.15, 0.30),
        ("pam", "bfloat16", 0.25, 0.45),
        ("pam_multiply_add", "float32", 0.25, 0.45),
        ("pam_multiply_add", "bfloat16", 0.6, 0.9),
    ):
        ratio = results.ratio(unit, format, "gates", "size")
        assert ratio is not None
        assert low < ratio < high, (unit, format)
