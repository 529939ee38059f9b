"""Table 4 and the ratios that Appendix B makes of it."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from mulfree.audit import Work
from mulfree.hardware import MEMORIES, Format, Operations, Traffic
from mulfree.hardware.estimate import Unit, piecewise_energy, piecewise_unit, standard_energy, standard_unit
from mulfree.hardware.prices import ADDITION, MULTIPLICATION, PIECEWISE, Price
from mulfree.hardware.units import joules

PRODUCT = Operations(work=Work(products=1, replaced=1))
MAC = Operations(work=Work(products=1, additions=1, replaced=1))


def test_table_4() -> None:
    assert {name: (price.energy, price.area) for name, price in ADDITION.items()} == {
        "int32": (0.1, 137), "int16": (0.05, 67), "int8": (0.03, 36), "float32": (0.9, 4184), "float16": (0.4, 1360),
    }  # fmt: skip
    assert {name: (price.energy, price.area) for name, price in MULTIPLICATION.items()} == {
        "int32": (3.1, 3495), "int8": (0.2, 282), "float32": (3.7, 7700), "float16": (1.1, 1640),
    }  # fmt: skip
    assert Price(0.2, 274) == PIECEWISE


@pytest.mark.parametrize(
    ("unit", "format", "energy", "area"),
    [
        ("multiplier", "float32", 5.4, 3.6),
        ("multiplier", "float16", 18, 17),
        ("multiply-accumulate", "float32", 24, 38),
        ("multiply-accumulate", "float16", 55, 77),
    ],
)
def test_the_ratios_of_appendix_b(unit: Unit, format: Format, energy: float, area: float) -> None:
    """As printed there: one decimal for float32 multipliers, none for the others."""
    old, new = standard_unit(unit, format), piecewise_unit(unit)
    digits = 1 if energy == 5.4 else 0
    assert round(100 * new.energy / old.energy, digits) == energy
    assert round(100 * new.area / old.area, digits) == area
    one = PRODUCT if unit == "multiplier" else MAC
    assert standard_energy(one, format).total == pytest.approx(old.energy)
    assert piecewise_energy(one, format).total == pytest.approx(new.energy)


@pytest.mark.parametrize(("format", "multiplication", "width"), [("float32", 3.7, 4), ("float16", 1.1, 2)])
def test_energies_by_kind(format: Format, multiplication: float, width: int) -> None:
    operations = Operations(
        work=Work(products=1, quotients=10, additions=100, powers=1000, logarithms=10_000, replaced=5),
        additions=100_000,
        multiplications=7,
        traffic=Traffic(numbers=3, fixed=4),
    )
    moved = 20 * (3 * width + 4) / 8
    found = piecewise_energy(operations, format, "32kB")
    assert astuple(found) == pytest.approx((0.2 + 7 * multiplication, 0.2 * 11_010, 0.9 * 100_100, moved))
    assert found.total == pytest.approx(sum(astuple(found)))
    assert found.times(3).total == pytest.approx(3 * found.total)
    assert standard_energy(operations, format).total == pytest.approx(12 * multiplication + 0.9 * 100_100)


def test_memories() -> None:
    """pJ for 64 bits (Horowitz, 2014)."""
    assert MEMORIES == {"none": 0, "8kB": 10, "32kB": 20, "1MB": 100, "dram": 1950}
    one_access = Operations(traffic=Traffic(numbers=2))
    assert piecewise_energy(one_access, "float32", "dram").total == 1950
    assert standard_energy(one_access, "float16", "dram").total == 1950 / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "int4"}, "format must be one of float32, float16, got 'int4'"),
        ({"memory": "tape"}, "memory must be one of none, 8kB, 32kB, 1MB, dram, got 'tape'"),
    ],
)
def test_unknown_names(options: dict[str, str], message: str) -> None:
    for energy in (standard_energy, piecewise_energy):
        with pytest.raises(ValueError, match=message):
            energy(MAC, **options)  # type: ignore[arg-type]


def test_unknown_units() -> None:
    with pytest.raises(ValueError, match="unit must be one of multiplier, multiply-accumulate"):
        piecewise_unit("divider")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="format must be"):
        standard_unit("multiplier", "bfloat16")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("energy", "text"),
    [(0, "0.00 pJ"), (0.2, "0.20 pJ"), (4.6, "4.60 pJ"), (1.035e9, "1.03 mJ"), (248.4e6, "248 µJ"), (54.6e12, "54.6 J"),
     (3.6e18, "1.00 kWh"), (7.2e21, "2,000 kWh")],
)  # fmt: skip
def test_joules(energy: float, text: str) -> None:
    assert joules(energy) == text
