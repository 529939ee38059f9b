"""The units by name, without Amaranth: what there is, what it computes, and how to build it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mulfree.hardware.rtl.words import FLOAT32, Format

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

    from mulfree.hardware.rtl.circuits import Elementwise

MISSING = "Amaranth is not installed; the hardware units need it: pip install 'mulfree[hdl]'"
"""The message of every error for want of the extra."""


@dataclass(frozen=True)
class Unit:
    """A kind of unit: what it is, what it computes, and what of special operands (numbers x are finite, not zero).

    ``sums``: it adds in float32, so its operands' format must be within float32. ``elementwise``: it is combinational
    between an input and an output register. ``options``: which of alpha, lanes, rows and columns it has.
    """

    summary: str
    semantics: str
    special: str
    elementwise: bool = True
    sums: bool = False
    options: tuple[str, ...] = ()


_PRODUCT = (
    "NaN * any, inf * 0: NAN; inf * x, inf * inf: infinity; 0 * x, 0 * 0: zero; all but NAN with the xor of the signs"
)
_QUOTIENT = (
    "any NaN, 0/0, inf/inf: NAN; x/0, inf/0, inf/x: infinity; 0/x, x/inf, 0/inf: zero; all but NAN with the xor of "
    "the signs"
)
_SUM = "NaN + any, inf + -inf: NAN; inf + x, inf + inf: inf; -0 + -0: -0; other sums that are exactly zero: +0"
_BOTH = f"{_PRODUCT}. {_SUM}"
_MAC = "with enable: sum = add(clear ? +0 : sum, {}), one cycle after the operands are registered"
_DOT = "products {}; chunks of 256 in ascending order, each from +0; chunk sums added in ascending order to +0"
_TILE = "sum_out[j] = sum_in[j] + a[0] w[0][j] + a[1] w[1][j] + ..., added in this order in float32; products {}"
_PAM, _IEEE = "mul(a, b)", "a * b, IEEE, rounded to float32"
UNITS: dict[str, Unit] = {
    "pam": Unit(
        "PAM, the piecewise affine product",
        "mul(a, b): mag(a) + mag(b) - ONE, zero if below MIN, infinity from INF on",
        _PRODUCT,
    ),
    "pam_compensated": Unit(
        "PAM with compensation by alpha",
        "mul(a, b) with c: mag(a) + mag(b) - ONE + (bits(alpha) - ONE), zero if below MIN, infinity from INF on",
        _PRODUCT,
        options=("alpha",),
    ),
    "pad": Unit(
        "PAD, the piecewise affine quotient",
        "div(a, b): mag(a) - mag(b) + ONE, zero if below MIN, infinity from INF on",
        _QUOTIENT,
    ),
    "exp2": Unit(
        "paexp2, the power of two",
        "exp2(a): round_half_even(a * 2^M) + ONE, M mantissa bits, +0 if below MIN, infinity from INF on",
        "NaN: NAN; inf: inf; -inf: +0; 0: 1",
    ),
    "log2": Unit(
        "palog2, the logarithm",
        "log2(a): bits(a) - ONE as a number with M fraction bits, M mantissa bits, rounded half-even",
        "NaN, negative: NAN; 0, -0: -inf; inf: inf; 1: +0",
    ),
    "ieee_multiplier": Unit(
        "IEEE multiplier, for comparison",
        "a * b rounded half-even, then below the smallest normal flushed to zero",
        _PRODUCT,
    ),
    "ieee_adder": Unit(
        "IEEE adder", "add(a, b): a + b rounded half-even, below the smallest normal flushed to zero", _SUM
    ),
    "pam_multiply_add": Unit(
        "float32 c plus a PAM product",
        "y = add(c, mul(a, b)), c and y in float32",
        _BOTH,
        sums=True,
        options=("alpha",),
    ),
    "ieee_multiply_add": Unit(
        "float32 c plus an IEEE product", f"y = add(c, {_IEEE}), c and y in float32", _BOTH, sums=True
    ),
    "pam_mac": Unit(
        "multiply-accumulate: PAM products, a float32 sum",
        _MAC.format(_PAM),
        _BOTH,
        elementwise=False,
        sums=True,
        options=("alpha",),
    ),
    "ieee_mac": Unit(
        "multiply-accumulate: IEEE products, a float32 sum", _MAC.format(_IEEE), _BOTH, elementwise=False, sums=True
    ),
    "pam_dot": Unit(
        "dot product in the law's order, several products a cycle",
        _DOT.format(_PAM),
        _BOTH,
        elementwise=False,
        sums=True,
        options=("lanes", "alpha"),
    ),
    "ieee_dot": Unit(
        "dot product of IEEE products", _DOT.format(_IEEE), _BOTH, elementwise=False, sums=True, options=("lanes",)
    ),
    "pam_tile": Unit(
        "weight-stationary systolic tile",
        _TILE.format(_PAM),
        _BOTH,
        elementwise=False,
        sums=True,
        options=("rows", "columns", "alpha"),
    ),
    "ieee_tile": Unit(
        "systolic tile of IEEE products",
        _TILE.format(_IEEE),
        _BOTH,
        elementwise=False,
        sums=True,
        options=("rows", "columns"),
    ),
}
"""Every kind of unit by its name."""

DEFAULTS: dict[str, Any] = {"alpha": 1.0, "lanes": 4, "rows": 4, "columns": 4}
"""Options where none is given. An ``alpha`` of 1 is no compensation."""


def unit(name: str, format: Format, *, registers: bool = True, **options: Any) -> Component:
    """An Amaranth component; its signature lists the ports.

    Args:
        name: One of ``UNITS``.
        format: Of the operands; sums of products are float32.
        registers: Whether an elementwise unit stands between registers (a result a cycle, two cycles later) or is
            combinational. The other units have registers anyway.
        options: ``alpha`` (compensated PAM and sums of PAM products), ``lanes`` (dot products), ``rows`` and
            ``columns`` (tiles).

    Ports of the elementwise units: ``a``, where there are two operands ``b``, of multiply-add ``c``, and the result
    ``y``; of the others as their classes state. All widths are those of the format, of sums 32.

    Raises:
        ImportError: Amaranth is not installed.
        ValueError: An unknown name or option, or a format that the unit cannot have.
    """
    kind = _checked(name, format, options)
    try:
        from mulfree.hardware.rtl.registers import Registered
    except ModuleNotFoundError as error:
        raise ImportError(MISSING) from error
    if kind.elementwise:
        core = _elementwise(name, format, options)
        return Registered(core) if registers else core
    return _clocked(name, format, options)


def _checked(name: str, format: Format, options: dict[str, Any]) -> Unit:
    if name not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {name!r}")
    kind = UNITS[name]
    if stray := [option for option in options if option not in kind.options]:
        raise ValueError(f"{name} has no option {stray[0]}; its options: {', '.join(kind.options) or 'none'}")
    if kind.sums and not format.within_float32:
        raise ValueError(f"{name} adds in float32, which does not hold {format}")
    return kind


def _elementwise(name: str, format: Format, options: dict[str, Any]) -> Elementwise:
    from mulfree.hardware.rtl.accumulate import MultiplyAdd
    from mulfree.hardware.rtl.ieee import IeeeAdder, IeeeMultiplier
    from mulfree.hardware.rtl.powers import Exp2, Log2
    from mulfree.hardware.rtl.products import Pad, Pam

    offset = _offset(name, format, options)
    makers: dict[str, Callable[[], Elementwise]] = {
        "pam": lambda: Pam(format),
        "pam_compensated": lambda: Pam(format, offset),
        "pad": lambda: Pad(format),
        "exp2": lambda: Exp2(format),
        "log2": lambda: Log2(format),
        "ieee_multiplier": lambda: IeeeMultiplier(format),
        "ieee_adder": lambda: IeeeAdder(format),
        "pam_multiply_add": lambda: MultiplyAdd(format, "pam", offset),
        "ieee_multiply_add": lambda: MultiplyAdd(format, "ieee"),
    }
    return makers[name]()


def _clocked(name: str, format: Format, options: dict[str, Any]) -> Component:
    from mulfree.hardware.rtl.accumulate import MultiplyAccumulate, Product
    from mulfree.hardware.rtl.dot import DotProduct
    from mulfree.hardware.rtl.tile import SystolicTile

    offset = _offset(name, format, options)
    product: Product = "pam" if name.startswith("pam") else "ieee"
    values = {**DEFAULTS, **options}
    if name.endswith("mac"):
        return MultiplyAccumulate(format, product, offset)
    if name.endswith("dot"):
        return DotProduct(format, values["lanes"], product, offset)
    return SystolicTile(format, values["rows"], values["columns"], product, offset)


def _offset(name: str, format: Format, options: dict[str, Any]) -> int:
    """Compensation in the unit's own format."""
    alpha = options.get("alpha", DEFAULTS["alpha"])
    return format.offset(alpha) if "alpha" in UNITS[name].options else FLOAT32.offset(1.0)
