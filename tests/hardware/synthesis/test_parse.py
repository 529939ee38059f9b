"""What the tools print, on stored samples of Yosys 0.70, its ABC and nextpnr 0.11."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mulfree.hardware.synthesis import parse
from mulfree.hardware.synthesis.flows import count
from mulfree.hardware.synthesis.parse import SynthesisError
from mulfree.hardware.synthesis.recipes import FAMILIES

GATES = """{
   "creator": "Yosys 0.70 (git sha1 28ba3cb92, Release, GNU c++ 14.2.1)",
   "invocation": "stat -tech cmos -json ",
   "modules": {"\\\\pam_bfloat16": {"num_cells": 228, "estimated_num_transistors": "1580"}},
      "design": {
         "num_wires":         216,
         "num_cells":         229,
         "num_cells_by_type": {"$_AND_": 95, "$_NOT_": 13, "$_OR_": 76, "$_XOR_": 44, "$scopeinfo": 1},
         "estimated_num_transistors": "1580"
      }
}
"""
LIBRARY = '{"design": {"num_cells_by_type": {"NOR2X1": 662, "XOR2X1": 122}, "area": 103376.000000}}'
TIMES = """ABC: + stime -p
ABC: WireLoad = "none"  Gates =    190 ( 13.2 %)   Cap = 26.6 ff (  4.9 %)   Area =     4955.00 ( 99.5 %)   Delay =  3263.40 ps  (  7.4 %)
ABC: Path  0 --       6 : 0    4 pi      A =   0.00  Df =  15.1   -6.1 ps  S =  37.5 ps  Cin =  0.0 ff
"""  # noqa: E501
PATH = """6. Executing LTP pass (find longest path).

Longest topological path in pam_bfloat16 (length=30):
    0: \\a [2]
"""
REPORT = '{"critical_paths": [], "fmax": {"$glbnet$clk": {"achieved": 131.96, "constraint": 200.0}}}'


def _design(**changes: Any) -> str:
    return json.dumps({"design": {**json.loads(GATES)["design"], **changes}})


def test_gates() -> None:
    design = parse.statistics(GATES)
    assert parse.cells(design) == {"$_AND_": 95, "$_NOT_": 13, "$_OR_": 76, "$_XOR_": 44}
    assert parse.transistors(design) == 1580
    assert parse.version(GATES) == "0.70"
    assert parse.depth(PATH) == 30


def test_library() -> None:
    assert parse.area(parse.statistics(LIBRARY)) == 103376.0
    assert parse.delay(TIMES) == 3263.4
    assert parse.delay(TIMES + TIMES.replace("3263.40", "2318.27")) == 2318.27


def test_clock_rate() -> None:
    assert parse.clock_rate(REPORT) == 131.96


def test_look_up_tables() -> None:
    found = {"CCU2C": 20, "L6MUX21": 6, "LUT4": 84, "MULT18X18D": 1, "PFUMX": 19, "TRELLIS_FF": 48}
    assert count(FAMILIES["ecp5"], found) == {"luts": 124, "blocks": 1, "registers": 48, "cells": 178}
    found = {"SB_CARRY": 34, "SB_DFF": 40, "SB_DFFE": 8, "SB_LUT4": 92, "SB_MAC16": 1}
    assert count(FAMILIES["ice40"], found) == {"luts": 92, "blocks": 1, "registers": 48, "cells": 175}
    found = {"BUFG": 1, "CARRY4": 8, "DSP48E1": 2, "FDRE": 48, "LUT2": 11, "LUT6": 4, "INV": 1}
    assert count(FAMILIES["xilinx"], found) == {"luts": 16, "blocks": 2, "registers": 48, "cells": 75}


@pytest.mark.parametrize("text", ["", "Yosys 0.70", "{}", "[]", '{"design": {}}', _design(num_cells_by_type={})])
def test_silence_is_an_error(text: str) -> None:
    with pytest.raises(SynthesisError):
        parse.statistics(text)


def test_what_is_missing_is_an_error() -> None:
    with pytest.raises(SynthesisError, match=r"all cells, got '1580\+'"):
        parse.transistors(parse.statistics(_design(estimated_num_transistors="1580+")))
    with pytest.raises(SynthesisError, match="all cells"):
        parse.transistors(parse.statistics(LIBRARY))
    with pytest.raises(SynthesisError, match=r"\$_AND_ has not been mapped"):
        parse.area(parse.statistics(GATES))
    with pytest.raises(SynthesisError, match="expected a chip area"):
        parse.area(parse.statistics(LIBRARY.replace("103376.000000", "0")))
    with pytest.raises(SynthesisError, match="no longest path"):
        parse.depth("Longest topological path")
    with pytest.raises(SynthesisError, match="no delay"):
        parse.delay("ABC: + stime -p\n")
    for text in ("", "{}", '{"fmax": {}}'):
        with pytest.raises(SynthesisError, match="no clock rate"):
            parse.clock_rate(text)
