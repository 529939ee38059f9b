"""A library of four gates, enough for ABC; areas, times and energies are made up."""

from __future__ import annotations

_GATE = """
  cell({name}) {{ area : {area};
{inputs}    pin(Y) {{ direction : output; function : "{function}"; max_capacitance : 1.0;
{timing}    }} }}
"""
_TABLE = '{ index_1("0.1,1"); index_2("0.1,1"); values("1,2","2,3"); }'
_HEAD = """library(tiny) { time_unit : "1ns"; capacitive_load_unit(1,pf); nom_voltage : 1.0;
lu_table_template(t) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
  index_1("0.1,1"); index_2("0.1,1"); }
"""


def tiny_library(*, energies: bool = False) -> str:
    """A Liberty file; ``energies`` are tables of internal power."""
    gates = (("BUF", 2, "A", "A"), ("INV", 1, "A", "!A"), ("NAND2", 2, "AB", "!(A&B)"), ("NOR2", 2, "AB", "!(A|B)"))
    return _HEAD + "".join(_gate(*gate, energies) for gate in gates) + "}\n"


def _gate(name: str, area: int, inputs: str, function: str, energies: bool) -> str:
    pins = "".join(f"    pin({pin}) {{ direction : input; capacitance : 0.01; }}\n" for pin in inputs)
    tables = " ".join(
        f"{kind}(t) {_TABLE}" for kind in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    )
    sense = "negative_unate" if "!" in function else "positive_unate"
    timing = "".join(
        f'      timing() {{ related_pin : "{pin}"; timing_sense : {sense}; {tables} }}\n' for pin in inputs
    )
    if energies:
        timing += f'      internal_power() {{ related_pin : "A"; rise_power(t) {_TABLE} fall_power(t) {_TABLE} }}\n'
    return _GATE.format(name=name, area=area, inputs=pins, function=function, timing=timing)
