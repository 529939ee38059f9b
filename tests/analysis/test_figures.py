"""The numbers read off the figures against exact mathematics, and the files that are written.

Expected values come from formulas for the segments, or from piecewise affine functions in float64 that are written
here after eqs. 5 to 20 and share nothing with the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mulfree.analysis.figures import FORMATS, Reading, figure1, figure2, figure3, figure4, readings, save_figure
from mulfree.analysis.figures.curves import DELTA_Y, Function, points, sample
from tests.command_line import message

Array = NDArray[np.float64]
LOG2_E, LN_2 = (float(np.float32(c)) for c in (math.log2(math.e), math.log(2)))
FUNCTIONS = (*figure3.FUNCTIONS, *figure4.FUNCTIONS)
each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)


def paexp2(x: Array) -> Array:
    return np.ldexp(1 + x - np.floor(x), np.floor(x).astype(int))


def palog2(x: Array) -> Array:
    fraction, exponent = np.frexp(x)
    return np.asarray(exponent - 1 + (2 * fraction - 1))


def product(a: Array | float, b: Array | float) -> Array:
    """PAM of numbers that may be zero."""
    a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    size = paexp2(palog2(np.abs(a)) + palog2(np.abs(b)))
    return np.where((a == 0) | (b == 0), 0.0, np.sign(a) * np.sign(b) * size)


def quotient(a: Array | float, b: Array | float) -> Array:
    """PAD of a number that may be zero by one that is not."""
    a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    size = paexp2(palog2(np.abs(a)) - palog2(np.abs(b)))
    return np.where(a == 0, 0.0, np.sign(a) * np.sign(b) * size)


def paexp2_slope(x: Array, delta: Array | float) -> Array:
    return product(product(paexp2(x), LN_2), delta)


def palog2_slope(x: Array, delta: Array | float) -> Array:
    return quotient(delta, product(x, LN_2))


AFFINE: dict[str, Callable[[Array], Array]] = {
    "1.5 x": lambda x: product(x, 1.5),
    "1.5 / x": lambda x: quotient(1.5, x),
    "x / 1.5": lambda x: quotient(x, 1.5),
    "x^2": lambda x: product(x, x),
    "sqrt(x)": lambda x: paexp2(quotient(palog2(x), 2.0)),
    "exp2(x)": paexp2,
    "exp(x)": lambda x: paexp2(product(x, LOG2_E)),
    "log2(x)": palog2,
    "ln(x)": lambda x: quotient(palog2(x), LOG2_E),
}
# Table 1, and the chain rule through eqs. 18 to 20.
APPROXIMATE: dict[str, Callable[[Array, float], Array]] = {
    "1.5 x": lambda x, d: product(1.5, d) + 0 * x,
    "1.5 / x": lambda x, d: -quotient(product(1.5, d), product(x, x)),
    "x / 1.5": lambda x, d: quotient(d, 1.5) + 0 * x,
    "x^2": lambda x, d: 2 * product(x, d),
    "sqrt(x)": lambda x, d: palog2_slope(x, quotient(paexp2_slope(quotient(palog2(x), 2.0), d), 2.0)),
    "exp2(x)": paexp2_slope,
    "exp(x)": lambda x, d: product(LOG2_E, paexp2_slope(product(x, LOG2_E), d)),
    "log2(x)": palog2_slope,
    "ln(x)": lambda x, d: palog2_slope(x, quotient(d, LOG2_E)),
}


def reading(number: int, function: str, curve: str = "value") -> Reading:
    (found,) = (r for r in readings(number) if (r.function, r.curve) == (function, curve))
    return found


# Extremes of the values: the mantissas at which they lie, solved by hand.

# (1 + f) / 2**f is greatest at f = 1 / ln 2 - 1.
EXP2_GREATEST = 2 ** (1 - 1 / math.log(2)) / math.log(2) - 1


def test_the_product() -> None:
    found = reading(2, "x1 * x2")
    assert found.least == pytest.approx(-1 / 9, abs=1e-12)
    assert found.least_at == (1.5, 1.5)
    assert found.greatest == 0
    data = figure2.products()
    on_power_of_two = (data.x1 % 1 == 0) | (data.x2 % 1 == 0)
    assert ((data.error == 0) == on_power_of_two).all()
    assert (data.error <= 0).all()
    assert np.array_equal(data.affine, product(data.x1, data.x2))


_LOG2_E = math.log2(math.e)
EXTREMES = [
    (1, "exp2(x)", 0, EXP2_GREATEST),
    (1, "1.5 x", -1 / 9, 0),
    (3, "1.5 x", -1 / 9, 1 / 9),  # of negative numbers the error is positive
    (3, "1.5 / x", 0, 1 / 24),  # mantissas 1/2 and 1/4: 5/4 in place of 6/5
    (3, "x / 1.5", 0, 1 / 8),  # mantissa 0: 3/4 in place of 2/3
    (3, "x^2", -1 / 9, 0),
    (3, "sqrt(x)", 0, 1.5 / math.sqrt(2) - 1),  # odd powers of two: paexp2(1/2) = 3/2
    (4, "exp2(x)", 0, EXP2_GREATEST),
    # The product with log2 e reaches 4 at 2 (3 - log2 e); greatest at the left end of the axis.
    (4, "exp(x)", 16 / math.exp(2 * (3 - _LOG2_E)) - 1, (4 - 2 * _LOG2_E) / 16 * math.exp(3) - 1),
    (4, "log2(x)", 0.1 / math.log2(1.1) - 1, 0),  # the left end of the axis; powers of two
    # Equal mantissas in the quotient by log2 e; the quotient 1 / log2 e itself.
    (4, "ln(x)", 0.125 / math.log(1 + _LOG2_E / 8) - 1, (3 - _LOG2_E) / 2 / math.log(2) - 1),
]


@pytest.mark.parametrize(("number", "function", "least", "greatest"), EXTREMES)
def test_extremes_of_the_values(number: int, function: str, least: float, greatest: float) -> None:
    found = reading(number, function)
    tolerance = 1e-3 if function in ("exp(x)", "ln(x)") else 1e-6  # kinks between two points of the grid
    assert found.least == pytest.approx(least, abs=tolerance)
    assert found.greatest == pytest.approx(greatest, abs=1e-6)


def test_where_the_extremes_are() -> None:
    assert reading(4, "exp2(x)").greatest_at[0] % 1 == pytest.approx(1 / math.log(2) - 1, abs=2**-10)
    assert reading(3, "1.5 / x").greatest_at == (0.625,)
    assert reading(3, "x / 1.5").greatest_at == (0.5,)
    assert reading(1, "1.5 x").least_at == (0.75,)


def test_the_logarithm_is_never_above_and_at_most_0_0861_below() -> None:
    curves = sample(figure1.FUNCTIONS[1])
    difference = curves.affine - curves.standard
    f = 1 / math.log(2) - 1
    assert difference.min() == pytest.approx(f - math.log2(1 + f), abs=1e-6)
    assert difference.min() == pytest.approx(-0.0861, abs=5e-5)
    assert difference.max() == pytest.approx(0, abs=1e-15)


def test_the_relative_error_is_undefined_where_the_function_is_zero() -> None:
    curves = sample(figure3.TIMES)
    assert np.isnan(curves.error[curves.x == 0]).all()
    assert np.isfinite(curves.error[curves.x != 0]).all()


@each_function
def test_points(function: Function) -> None:
    x = points(function)
    assert (x[0], x[-1]) == (np.float32(function.start), np.float32(function.stop))
    assert (np.diff(x) > 0).all()
    assert np.array_equal(x, x.astype(np.float32))
    powers = 2.0 ** np.arange(-1, 7)
    assert np.isin(powers[(powers >= x[0]) & (powers <= x[-1])], x).all()


@each_function
def test_values(function: Function) -> None:
    curves = sample(function)
    np.testing.assert_allclose(curves.affine, AFFINE[function.name](curves.x), rtol=2e-6, atol=1e-9)


@each_function
def test_the_standard_derivative_is_that_of_the_function(function: Function) -> None:
    x = points(function)[1:-1]
    h = 1e-6
    numerical = (function.standard(x + h) - function.standard(x - h)) / (2 * h)
    np.testing.assert_allclose(sample(function).standard_gradient[1:-1], DELTA_Y * numerical, rtol=1e-6, atol=1e-6)


@each_function
def test_exact_derivatives_are_signed_powers_of_two_times_delta(function: Function) -> None:
    curves = sample(function)
    fraction, _ = np.frexp(curves.exact_gradient[curves.x != 0] / 1.25)
    assert set(np.abs(fraction)) == {0.5}


@each_function
def test_exact_derivatives_are_the_slopes_of_the_segments(function: Function) -> None:
    curves = sample(function)
    values = AFFINE[function.name](curves.x)
    slope = np.diff(values) / np.diff(curves.x)
    # Points of one segment on both sides, and on both sides of them, so that no breakpoint lies between.
    same = curves.exact_gradient[1:] == curves.exact_gradient[:-1]
    inside = same[1:-1] & same[:-2] & same[2:] & (np.abs(curves.x[1:-2]) > 0.1)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(curves.exact_gradient[1:-2][inside], 1.25 * slope[1:-1][inside], rtol=1e-9)


@each_function
def test_approximate_derivatives_are_those_of_table_1(function: Function) -> None:
    curves = sample(function)
    expected = APPROXIMATE[function.name](curves.x, 1.25)
    np.testing.assert_allclose(curves.approximate_gradient, expected, rtol=2e-6, atol=1e-9)


def test_the_incoming_gradient_of_a_power_of_two_hides_the_error_of_products() -> None:
    """The reason for 1.25: 1.5 x has the approximate derivative 1.75 in place of 1.875, and no error with 1."""
    assert reading(3, "1.5 x", "approximate derivative").least == pytest.approx(1.75 / 1.875 - 1, abs=1e-12)
    assert product(1.5, 1.0) == 1.5


def test_exact_derivatives_are_unbiased_over_an_octave_and_approximate_ones_are_not() -> None:
    curves = sample(replace(figure3.TIMES, start=1.0, stop=2 - 2**-10))
    assert curves.exact_error.mean() == pytest.approx(0, abs=1e-12)
    assert curves.approximate_error.mean() == pytest.approx(-1 / 15, abs=1e-12)


@pytest.mark.parametrize(
    ("number", "function", "least", "greatest"),
    [
        (3, "1.5 x", -1 / 3, 1 / 3),
        (3, "x / 1.5", -1 / 4, 1 / 2),
        (3, "1.5 / x", -1 / 2, 1 / 3),
        (3, "x^2", -1 / 3, 1 / 3),
        (3, "sqrt(x)", math.sqrt(0.5) - 1, math.sqrt(2) - 1),
        (4, "exp2(x)", 1 / (2 * math.log(2)) - 1, 1 / math.log(2) - 1),
        (4, "log2(x)", math.log(2) - 1, 2 * math.log(2) - 1),
        (4, "ln(x)", -1 / 2, 1),
    ],
)
def test_extremes_of_the_exact_derivatives(number: int, function: str, least: float, greatest: float) -> None:
    found = reading(number, function, "exact derivative")
    # A limit from one side is missed by the distance of the points.
    assert found.least == pytest.approx(least, abs=2e-3)
    assert found.greatest == pytest.approx(greatest, abs=2e-3)


# Files.


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_files(number: int, tmp_path: Path) -> None:
    files = save_figure(number, tmp_path)
    assert [file.name for file in files] == [f"figure{number}.{format}" for format in ("png", "pdf", "svg")]
    with Image.open(files[0]) as image:
        assert image.format == "PNG"
        assert image.width >= 1500
        assert image.height >= 480
        assert len(set(image.convert("L").resize((60, 60)).tobytes())) > 10
    assert files[1].read_bytes().startswith(b"%PDF")
    assert files[2].read_text(encoding="utf-8").startswith("<?xml")
    assert all(file.stat().st_size > 10_000 for file in files)


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        save_figure(1, folder)
    for format in FORMATS:
        assert (first / f"figure1.{format}").read_bytes() == (second / f"figure1.{format}").read_bytes()


# The command.


def output(*arguments: str, code: int = 0) -> str:
    return message("figures", *arguments, code=code)


def test_command(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "for it"
    text = output("2", "1", "2", "--output-dir", str(folder), "--format", "svg", "--format", "png")
    assert {file.name for file in folder.iterdir()} == {f"figure{n}.{f}" for n in (1, 2) for f in ("png", "svg")}
    assert all(str(folder / f"figure{n}.{f}") in text for n in (1, 2) for f in ("png", "svg"))
    assert "-11.111 %" in text
    assert "6.148 %" in text
    assert text.index("x1 * x2") < text.index("exp2(x)")


def test_command_without_arguments_draws_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output()
    assert {f.name for f in (tmp_path / "figures").iterdir()} == {
        f"figure{n}.{f}" for n in range(1, 5) for f in FORMATS
    }


def test_command_with_bad_arguments(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert "no figure 5" in output("1", "5", "--output-dir", str(folder), code=2)
    assert "no format gif" in output("1", "--format", "gif", "--output-dir", str(folder), code=2)
    assert not folder.exists()


def test_command_that_cannot_write(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "cannot make the folder" in output("1", "--output-dir", str(file), code=1)
    (tmp_path / "figure1.png").mkdir()
    assert "cannot write figure 1" in output("1", "--output-dir", str(tmp_path), code=1)
