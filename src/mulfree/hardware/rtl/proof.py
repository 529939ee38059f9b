"""Proofs that a unit returns the law's bits for all operands: a miter, decided by Yosys' SAT solver.

The other side is ``specification.v``, the equations of ``docs/spec.md`` in wide integers, written independently of the
units and read by Yosys' own Verilog front end. Each proof covers every operand, special values included.
"""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from mulfree.hardware.rtl import yosys
from mulfree.hardware.rtl.catalog import DEFAULTS, unit
from mulfree.hardware.rtl.output import plain_rtlil
from mulfree.hardware.rtl.words import FLOAT32, Format

OPERATIONS = {
    "pam": "mul(a, b)",
    "pam_compensated": "mul(a, b)",
    "pad": "div(a, b)",
    "exp2": "exp2(a)",
    "log2": "log2(a)",
    "ieee_adder": "add(a, b, places)",
    "ieee_multiplier": "product(a, b)",
    "widening_pam": "mul(widen(a), widen(b))",
    "widening_ieee_multiplier": "product(a, b)",
    "pam_multiply_add": "add(c, term, places)",
    "ieee_multiply_add": "add(c, term, places)",
}
"""What each unit is in ``specification.v``. The widening ones are the products of sums: narrow operands, float32."""
_TERMS = {"pam_multiply_add": "mul(widen(a), widen(b))", "ieee_multiply_add": "product(a, b)"}
"""``term``. That the unit's product equals it is proved first, and then used."""
_SUMMANDS = {"ieee_adder": "a, b", **dict.fromkeys(_TERMS, "c, term")}

_PRODUCTS = ("gold.term", "gate.multiplier.y")
"""Signals of the specification and of the unit."""

SECONDS = 600.0
"""The time that a proof may take."""


@dataclass(frozen=True)
class Proof:
    """The outcome: proved, or the ``operands`` for which the unit returns ``found`` and the law ``expected``."""

    unit: str
    format: Format
    proved: bool
    seconds: float
    operands: tuple[int, ...] = ()
    found: int = 0
    expected: int = 0


def prove(name: str, format: Format, alpha: float = DEFAULTS["alpha"], seconds: float = SECONDS) -> Proof:
    """Decide whether the unit (a name of ``OPERATIONS``) equals the specification for all operands.

    Raises:
        ImportError: Amaranth or Yosys is not installed.
        YosysError: The solver did not end in ``seconds``.
    """
    return prove_netlist(netlist(name, format, alpha), name, format, alpha, seconds)


def netlist(name: str, format: Format, alpha: float = DEFAULTS["alpha"]) -> str:
    """The combinational unit in RTLIL, its top module named ``unit``."""
    if name.startswith("widening_"):
        from mulfree.hardware.rtl.accumulate import multiplier

        return plain_rtlil(multiplier("pam" if name == "widening_pam" else "ieee", format), "unit")
    options = {"alpha": alpha} if name == "pam_compensated" else {}
    return plain_rtlil(unit(name, format, registers=False, **options), "unit")


def prove_netlist(
    text: str, name: str, format: Format, alpha: float = DEFAULTS["alpha"], seconds: float = SECONDS
) -> Proof:
    """As ``prove``, of any netlist in RTLIL with a top module ``unit`` that has that unit's ports."""
    commands = [
        "read_rtlil unit.il",
        "read_verilog specification.v",
        "setattr -mod -unset top",
        "proc",
        "flatten",
        "opt -full",
        "miter -equiv -flatten -make_outputs specification unit miter",
        "hierarchy -top miter",
        "opt -full",
    ]
    shown = "-show-inputs -show-outputs" + f" -show {','.join(_PRODUCTS)}" * (name in _TERMS)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "unit.il").write_text(text)
        (folder / "specification.v").write_text(specification(name, format, alpha))
        for goals in _goals(name, format):
            left = seconds - (time.perf_counter() - started)
            output = yosys.run(commands + [f"sat {goal} {shown} miter" for goal in goals], max(left, 0.01), folder)
            outcome = _outcome(output, name, format, time.perf_counter() - started, len(goals))
            if not outcome.proved:
                break
    return outcome


def _goals(name: str, format: Format) -> list[list[str]]:
    """What is proved, covering all operands: of a sum each number of places that may lie between its summands.

    Of a sum with a product, that the products are equal comes first, so that it can be used in the rest.
    """
    if name not in _SUMMANDS:
        return [["-prove trigger 0"]]
    places = range(_result(name, format).mantissa_bits + 4)
    equal = " ".join(_PRODUCTS)
    if name not in _TERMS:
        return [[f"-set gold.places {number} -prove trigger 0" for number in places]]
    return [
        [f"-prove {equal}"],
        [f"-set {equal} -set gold.places {number} -prove trigger 0" for number in places],
    ]


def _result(name: str, format: Format) -> Format:
    return FLOAT32 if name.startswith("widening_") or name in _TERMS else format


def specification(name: str, format: Format, alpha: float = DEFAULTS["alpha"]) -> str:
    """The module ``specification`` in Verilog with the unit's ports."""
    operation = OPERATIONS[name]
    result = _result(name, format)
    widths = {
        operand: format.width for operand in "ab" if re.search(rf"\b{operand}\b", operation + _TERMS.get(name, ""))
    }
    widths |= {"c": result.width} if name in _TERMS else {}
    macros: dict[str, object] = {
        "E": result.exponent_bits,
        "M": result.mantissa_bits,
        "W": (1 << result.exponent_bits if name == "exp2" else result.exponent_bits) + 2 * result.mantissa_bits + 8,
        "C": format.offset(alpha),
        "NARROW_E": format.exponent_bits,
        "NARROW_M": format.mantissa_bits,
        "OPERANDS": ", ".join(f"input [{width - 1}:0] {operand}" for operand, width in widths.items()),
        "OPERATION": operation,
    }
    macros |= {"SUMMANDS": _SUMMANDS[name]} if name in _SUMMANDS else {}
    macros |= {"TERM": _TERMS[name]} if name in _TERMS else {}
    body = files("mulfree.hardware.rtl").joinpath("specification.v").read_text()
    return "".join(f"`define {macro} {value}\n" for macro, value in macros.items()) + body


def _outcome(output: str, name: str, format: Format, seconds: float, goals: int) -> Proof:
    if "model found: FAIL!" not in output:
        if output.count("no model found: SUCCESS!") == goals:
            return Proof(name, format, True, seconds)
        raise yosys.YosysError("Yosys' solver said neither yes nor no:\n" + output[-1000:])
    model = output.split("model found: FAIL!", 1)[1]
    values: dict[str, int] = {}
    for signal, word in re.findall(r"^\s*\\([\w.]+)\s+-?\d+\s+\w+\s+([01]+)\s*$", model, re.MULTILINE):
        values.setdefault(signal, int(word, 2))
    operands = tuple(values[signal] for signal in ("in_a", "in_b", "in_c") if signal in values)
    found, expected = values["gate_y"], values["gold_y"]
    if found == expected:  # the products differ, and the sums lose it
        expected, found = (values[signal] for signal in _PRODUCTS)
    return Proof(name, format, False, seconds, operands, found, expected)
