"""The law on one number, in pure integer arithmetic (``docs/spec.md``, sections 2 to 5).

Every function takes and returns the *bits* of a binary32 number as an ``int`` in
[0, 2**32). No float operation and no library is used, so this file can be read as the
specification and every backend is tested against it. ``bits`` and ``value`` convert
from and to Python floats.

Wide sums are ordinary Python integers; ``_finish`` is the one place where a wide sum
is clamped into the format.
"""

from __future__ import annotations

import struct

from mulfree.numerics.formats import (
    EXPONENT_BIAS,
    INF,
    LN2,
    MAGNITUDE,
    MANTISSA,
    MANTISSA_BITS,
    MIN,
    NAN,
    ONE,
    SIGN,
    STEP,
)


def bits(value: float) -> int:
    """Bits of ``value`` rounded half-even to binary32; too large becomes infinity."""
    try:
        return int.from_bytes(struct.pack("<f", value), "little")
    except OverflowError:
        return INF if value > 0 else SIGN | INF


def value(word: int) -> float:
    """The number that the bits ``word`` stand for."""
    return float(struct.unpack("<f", word.to_bytes(4, "little"))[0])


def flush(a: int) -> int:
    """A denormal counts as the zero of its sign."""
    return a & SIGN if a & MAGNITUDE < MIN else a


def is_nan(a: int) -> bool:
    return a & MAGNITUDE > INF


def is_infinite(a: int) -> bool:
    return a & MAGNITUDE == INF


def is_zero(a: int) -> bool:
    """True for zeros and for denormals, which count as zero."""
    return a & MAGNITUDE < MIN


def negate(a: int) -> int:
    """The other sign; a NaN has none and becomes the canonical one."""
    return NAN if is_nan(a) else a ^ SIGN


def _finish(sign: int, total: int) -> int:
    """Clamp a wide magnitude: below the smallest normal is zero, above the largest is infinity."""
    if total < MIN:
        return sign
    return sign | min(total, INF)


def _floor_step(total: int) -> int:
    """Round a wide sum down to a whole exponent: clears the mantissa field."""
    return total & -STEP


def _mantissa(a: int) -> int:
    """The mantissa field; 0 for zeros, denormals and infinities."""
    return 0 if is_zero(a) or is_infinite(a) else a & MANTISSA


def _product_special(sign: int, *factors: int) -> int | None:
    """IEEE result of a product of ``factors`` when one is NaN, infinite or zero, else None."""
    if any(is_nan(f) for f in factors):
        return NAN
    zero, infinite = any(map(is_zero, factors)), any(map(is_infinite, factors))
    if zero and infinite:
        return NAN
    if infinite:
        return sign | INF
    return sign if zero else None


def _quotient_special(sign: int, numerators: tuple[int, ...], divisor: int) -> int | None:
    """IEEE result of product(numerators) / divisor when an operand is special, else None."""
    top = _product_special(0, *numerators)
    if is_nan(divisor) or top == NAN:
        return NAN
    if is_zero(divisor):
        return NAN if top == 0 else sign | INF
    if is_infinite(divisor):
        return NAN if top == INF else sign
    return None if top is None else sign | top


def compensation_offset(alpha: int) -> int:
    """The integer that compensation by ``alpha`` (bits, positive, finite, normal) adds to a product."""
    if not MIN <= alpha < INF:
        raise ValueError(f"compensation must be positive, finite and normal, got {value(alpha)}")
    return alpha - ONE


def mul(a: int, b: int, offset: int = 0) -> int:
    """PAM, eqs. 5 to 8: mag(a) + mag(b) - ONE. ``offset`` is ``compensation_offset(alpha)``."""
    sign = (a ^ b) & SIGN
    special = _product_special(sign, a, b)
    if special is not None:
        return special
    return _finish(sign, (a & MAGNITUDE) + (b & MAGNITUDE) - ONE + offset)


def power(base: int, exponent: int) -> int:
    """base * base * ... (``exponent`` factors) by repeated squaring; regrouping is exact in range."""
    result = ONE
    while exponent:
        if exponent & 1:
            result = mul(result, base)
        base = mul(base, base)
        exponent >>= 1
    return result


def mul_grad(grad: int, a: int, b: int, offset: int = 0) -> int:
    """Exact derivative of ``mul`` by ``a``, times ``grad``: the slope 2**(E_y - E_a) sign(b)."""
    sign = (b ^ grad) & SIGN
    if is_nan(a):
        return NAN
    special = _product_special(sign, b, grad)
    if special is not None:
        return special
    slope = _floor_step(_mantissa(a) + (b & MAGNITUDE) + offset)
    return _finish(sign, slope + (grad & MAGNITUDE) - ONE)


def div(a: int, b: int) -> int:
    """PAD, eqs. 14 to 17 with the erratum: mag(a) - mag(b) + ONE."""
    sign = (a ^ b) & SIGN
    special = _quotient_special(sign, (a,), b)
    if special is not None:
        return special
    return _finish(sign, (a & MAGNITUDE) - (b & MAGNITUDE) + ONE)


def div_grad_numerator(grad: int, a: int, b: int) -> int:
    """Exact derivative of ``div`` by ``a``, times ``grad``: 2**(-E_b - [M_a < M_b]) sign(b)."""
    sign = (b ^ grad) & SIGN
    if is_nan(a):
        return NAN
    special = _quotient_special(sign, (grad,), b)
    if special is not None:
        return special
    slope = _floor_step(_mantissa(a) - (b & MAGNITUDE)) + 2 * ONE
    return _finish(sign, slope + (grad & MAGNITUDE) - ONE)


def div_grad_denominator(grad: int, a: int, b: int) -> int:
    """Exact derivative of ``div`` by ``b``, times ``grad``: -2**(E_a - 2 E_b - [M_a < M_b]) sign(a)."""
    sign = (a ^ grad ^ SIGN) & SIGN
    special = _quotient_special(sign, (a, grad), b)
    if special is not None:
        return special
    magnitude = b & MAGNITUDE
    slope = _floor_step((a & MAGNITUDE) - magnitude) - _floor_step(magnitude) + 2 * ONE
    return _finish(sign, slope + (grad & MAGNITUDE) - ONE)


def div_grad_denominator_approximate(grad: int, a: int, b: int) -> int:
    """Approximate derivative of ``div`` by ``b`` (Table 1): -(a * grad) / (b * b)."""
    return negate(div(mul(a, grad), mul(b, b)))


_EXP2_FAR = 1 << 12
"""An exponent past every range limit: arguments of ``exp2`` beyond it behave alike."""


def _fixed_point(x: int) -> int:
    """round_half_even(x * 2**23) of a finite ``x``, held within +-_EXP2_FAR."""
    if is_zero(x):
        return 0
    shift = ((x & MAGNITUDE) >> MANTISSA_BITS) - EXPONENT_BIAS
    significand = x & MANTISSA | STEP
    if shift >= 12:
        fixed = _EXP2_FAR * STEP
    elif shift >= 0:
        fixed = significand << shift
    elif shift < -MANTISSA_BITS - 1:
        fixed = 0
    else:
        fixed = round_half_even(significand, -shift)
    return -fixed if x & SIGN else fixed


def round_half_even(number: int, shift: int) -> int:
    """Drop the low ``shift`` bits of a non-negative integer, rounding half to even."""
    if shift <= 0:
        return number << -shift
    half = (1 << (shift - 1)) - 1
    return (number + half + ((number >> shift) & 1)) >> shift


def exp2(x: int) -> int:
    """paexp2, eq. 9: round_half_even(x * 2**23) + ONE read as the bits of a float."""
    if is_nan(x):
        return NAN
    if is_infinite(x):
        return 0 if x & SIGN else INF
    return _finish(0, _fixed_point(x) + ONE)


def exp2_grad(grad: int, x: int) -> int:
    """Exact derivative of ``exp2`` times ``grad``: 2**floor(x), the exponent of the result."""
    sign = grad & SIGN
    if is_nan(x) or is_nan(grad):
        return NAN
    if is_infinite(x):
        special = _product_special(sign, 0 if x & SIGN else INF, grad)
        assert special is not None
        return special
    special = _product_special(sign, grad)
    if special is not None:
        return special
    return _finish(sign, _floor_step(_fixed_point(x) + ONE) + (grad & MAGNITUDE) - ONE)


def exp2_grad_approximate(grad: int, x: int) -> int:
    """Approximate derivative of ``exp2`` (Table 1): (exp2(x) * ln 2) * grad."""
    return mul(mul(exp2(x), LN2), grad)


def log2(x: int) -> int:
    """palog2, eq. 10: (bits(x) - ONE) read with 23 fraction bits, rounded half-even to float."""
    if is_nan(x):
        return NAN
    if is_zero(x):
        return SIGN | INF
    if x & SIGN:
        return NAN
    if is_infinite(x):
        return INF
    return from_fixed_point(x - ONE, MANTISSA_BITS)


def log2_grad(grad: int, x: int) -> int:
    """Exact derivative of ``log2`` times ``grad``: 2**-E (with the sign of ``x``, as torch has it)."""
    sign = (x ^ grad) & SIGN
    special = _quotient_special(sign, (grad,), x)
    if special is not None:
        return special
    return _finish(sign, ONE - _floor_step(x & MAGNITUDE) + (grad & MAGNITUDE))


def log2_grad_approximate(grad: int, x: int) -> int:
    """Approximate derivative of ``log2`` (Table 1): grad / (x * ln 2)."""
    return div(grad, mul(x, LN2))


def from_fixed_point(number: int, fraction_bits: int) -> int:
    """number * 2**-fraction_bits rounded half-even to binary32; below the smallest normal is zero."""
    if number == 0:
        return 0
    sign, magnitude = (SIGN, -number) if number < 0 else (0, number)
    drop = magnitude.bit_length() - (MANTISSA_BITS + 1)
    significand = round_half_even(magnitude, drop)  # 24 bits, or 2**24 after a carry
    exponent = drop - fraction_bits + MANTISSA_BITS + EXPONENT_BIAS
    return _finish(sign, (exponent - 1) * STEP + significand)


def _to_fixed_point(a: int) -> int:
    """A finite number in units of 2**-149; denormals count as zero."""
    if is_zero(a):
        return 0
    shift = ((a & MAGNITUDE) >> MANTISSA_BITS) - 1
    fixed = (a & MANTISSA | STEP) << shift
    return -fixed if a & SIGN else fixed


def add(a: int, b: int) -> int:
    """IEEE 754 addition, half-even, with denormal operands and results as zeros of their sign."""
    if is_nan(a) or is_nan(b):
        return NAN
    if is_infinite(a) or is_infinite(b):
        if is_infinite(a) and is_infinite(b) and a != b:
            return NAN
        return a if is_infinite(a) else b
    total = _to_fixed_point(a) + _to_fixed_point(b)
    if total == 0:
        return a & b & SIGN if is_zero(a) and is_zero(b) else 0
    # A sum of two multiples of 2**-149 below 2**-126 is exact, so flushing it loses no rounding.
    return from_fixed_point(total, EXPONENT_BIAS + MANTISSA_BITS - 1)


def narrow(a: int, mantissa_bits: int) -> int:
    """Round half-even to ``mantissa_bits`` mantissa bits (Appendix D); 1 to 23."""
    if not 1 <= mantissa_bits <= MANTISSA_BITS:
        raise ValueError(f"mantissa_bits must be 1 to 23, got {mantissa_bits}")
    if is_nan(a):
        return NAN
    if is_infinite(a):
        return a
    if is_zero(a):
        return a & SIGN
    drop = MANTISSA_BITS - mantissa_bits
    return _finish(a & SIGN, round_half_even(flush(a) & MAGNITUDE, drop) << drop)


def floor(a: int) -> int:
    """Largest whole number not above ``a``; NaN and infinities stay."""
    if is_nan(a):
        return NAN
    if is_infinite(a):
        return a
    shift = EXPONENT_BIAS + MANTISSA_BITS - 1
    whole = _to_fixed_point(a) >> shift
    return from_fixed_point(whole, 0) if whole else a & SIGN
