"""Liberty files: groups, attributes, tables of any order of variables, and what is wrong with a file."""

from __future__ import annotations

import pytest

from mulfree.hardware.switching.cells import Library
from mulfree.hardware.switching.liberty import Group, LibertyError, Table, parse, table

_LIBRARY = """
/* two
   lines */
library (cells) {  // a remark
  nom_voltage : 2.0;
  capacitive_load_unit (10, ff);
  lu_table_template (by_slew) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("1, 2"); index_2 ("0, 10"); }
  power_lut_template (energies) { variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;
    index_1 ("0, 10"); index_2 ("1, 3"); }
  cell (NAND2) {
    area : 4.5;
    pin (A) { direction : input; capacitance : 0.5; }
    pin ("B") { direction : input; capacitance : 0.25 }
    pin (Y) {
      direction : output;
      function : "!(A B)";
      timing () { related_pin : "A B";
        cell_rise (by_slew) { values ("1, 2", \\
                                      "3, 4"); }
        cell_fall (scalar) { values ("5"); }
        rise_transition (by_slew) { values ("1, 1", "1, 1"); }
      }
      internal_power () { related_pin : "A"; when : "B";
        rise_power (energies) { values ("0, 0", "4, 6"); } fall_power (scalar) { values ("-1"); } }
    }
  }
}
"""


def _library() -> str:
    return _LIBRARY


def test_groups() -> None:
    library = parse(_library())
    assert library.arguments == ["cells"]
    cell = library.one("cell")
    assert cell is not None
    assert cell.values == {"area": "4.5"}
    assert [pin.arguments for pin in cell.all("pin")] == [["A"], ["B"], ["Y"]]
    assert cell.all("pin")[2].values["function"] == "!(A B)"
    assert library.one("nothing") is None


def test_tables_between_and_beyond() -> None:
    found = Table([0, 10], [1, 3], [[0, 2], [20, 22]])
    assert found.at(0, 1) == 0
    assert found.at(5, 2) == 11
    assert found.at(20, 5) == 44
    assert Table([0.0], [0.0], [[7]]).at(3, 9) == 7
    assert Table([0, 1], [0.0], [[0], [4]]).at(0.5, 9) == 2
    assert Table([0.0], [0, 1], [[0, 4]]).at(8, 0.25) == 1


def test_cells() -> None:
    library = Library(_library())
    assert library.load("NAND2", "A") == 0.5
    # cell_rise at load 5, slew 1.5: 2.5; cell_fall: 5
    assert library.arc("NAND2", "Y", "B", 5, 1.5) == ((2.5 + 5) / 2, 1.0)
    # rise_power at load 5, slew 2: 2.5; fall_power: -1; half of load times 2 V squared; units of 0.01 pF
    assert library.energy("NAND2", "Y", 5, 2) == pytest.approx(((2.5 - 1) / 2 + 5 * 4 / 2) * 0.01)
    assert library.energy("", "", 5, 2) == pytest.approx(5 * 4 / 2 * 0.01)
    assert library.slew == 0.0  # of the table without variables
    with pytest.raises(LibertyError, match="no delay from C to Y of NAND2"):
        library.arc("NAND2", "Y", "C", 5, 1.5)
    with pytest.raises(LibertyError, match="no timing of the pin Z of NAND2"):
        library.energy("NAND2", "Z", 5, 2)
    with pytest.raises(LibertyError, match="pin A of NOR2"):
        library.load("NOR2", "A")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no library"),
        ("library (a) { cell (b) {", "ends within a group"),
        ("library (a) { b }", "expected ':' or '\\('"),
        ("library (a) { nom_voltage : 1; }", "no tables of internal_power"),
        (_library().replace("nom_voltage : 2.0;", ""), "no nom_voltage"),
        (
            _library().replace("input_transition_time", "equal_or_opposite_output_net_capacitance_"),
            "2 loads and 1 slews has 4 values",
        ),
        (_library().replace("input_transition_time", "frequency"), "depends on frequency"),
        (_library().replace("(10, ff)", "(10, mf)"), "capacitive_load_unit must be in"),
        (_library().replace("capacitance : 0.5;", ""), "pin A has no capacitance"),
        (_library().replace("nom_voltage : 2.0", "nom_voltage : high"), "could not convert"),
        (_library().replace("cell (NAND2)", "cell ()"), "out of range"),
        (_library().replace('"4, 6"', '"4, x"'), "expected numbers in values"),
        (_library().replace('"4, 6"', '"4"'), "2 loads and 2 slews has 3 values"),
        (
            _library().replace('rise_power (energies) { values ("0, 0", "4, 6"); }', "rise_power (energies) { }"),
            "no val",
        ),
    ],
)
def test_bad_libraries(text: str, message: str) -> None:
    with pytest.raises(LibertyError, match=message):
        Library(text)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("capacitance : 0.5; }", "capacitance : 0.5\n max_transition : 9\n }"),
        ("capacitance : 0.5; }", "rise_capacitance : 0.4; fall_capacitance : 0.6; }"),
        ("area : 4.5;", "area : 4.5\n pg_pin (VDD) { pg_type : primary_power\n }"),
        (
            "nom_voltage : 2.0;",
            'nom_voltage : 2.0; comment : "http://a \\"b\\""; library_features("x")\n define(a, b, c)\n',
        ),
        ("(10, ff)", '("10ff")'),
        ("cell (NAND2) {", "cell (NAND2)\n{"),
        ('"0, 0", "4, 6"', '"0, 0, \\\n 4, 6,"'),
    ],
)
def test_other_ways_to_write_it(written: str, instead: str) -> None:
    assert written in _library()
    library, plain = Library(_library().replace(written, instead)), Library(_library())
    assert library.load("NAND2", "A") == 0.5
    assert library.arc("NAND2", "Y", "B", 5, 1.5) == plain.arc("NAND2", "Y", "B", 5, 1.5)
    assert library.energy("NAND2", "Y", 5, 2) == plain.energy("NAND2", "Y", 5, 2)


def test_energies_of_supply_rails_add_up() -> None:
    start = _library().index("internal_power")
    group = _library()[start : _library().index("}\n    }\n  }", start)] + "}"
    rails = "".join(group.replace('when : "B"', f'related_pg_pin : "{rail}"') + "\n" for rail in ("VDD", "VSS"))
    both = Library(_library().replace(group, rails))
    within = Library(_library()).energy("NAND2", "Y", 5, 2) - 5 * 4 / 2 * 0.01
    assert within > 0
    assert both.energy("NAND2", "Y", 5, 2) == pytest.approx(2 * within + 5 * 4 / 2 * 0.01)


def test_a_table_takes_the_axes_of_its_template() -> None:
    template = Group("t", ["t"], [Group("index_1", ["0 1"])], {"variable_1": "total_output_net_capacitance"})
    group = Group("cell_rise", ["t"], [Group("values", ["2, 3"])])
    assert table(group, {"t": template}).at(0.5, 0) == 2.5
    group.groups.append(Group("index_1", ["0, 2"]))
    assert table(group, {"t": template}).at(0.5, 0) == 2.25
