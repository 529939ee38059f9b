"""The law on tensors of words: ``numerics/scalar.py`` function by function, in torch integer operations.

A *word* holds the bits of a binary32 number, an integer in [0, 2**32). Tensors of words are int64, so the wide
sums of the law are ordinary integer sums. Functions broadcast. The one float operation is the addition in
``add_floats``; everything else, tests and flushing included, looks at words, so the processor's denormal mode
has nothing to act on.
"""

from __future__ import annotations

import torch
from torch import Tensor

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

_WORD = 0xFFFFFFFF


def words(x: Tensor) -> Tensor:
    """Bits of a float32 tensor, denormals and all."""
    return x.view(torch.int32).to(torch.int64) & _WORD


def floats(a: Tensor) -> Tensor:
    """The contiguous float32 tensor with the bits ``a``."""
    signed = (a ^ SIGN) - SIGN
    return signed.to(torch.int32).contiguous().view(torch.float32)


def flush(a: Tensor) -> Tensor:
    """A denormal counts as the zero of its sign."""
    return torch.where(is_zero(a), a & SIGN, a)


def is_nan(a: Tensor) -> Tensor:
    return (a & MAGNITUDE) > INF


def is_infinite(a: Tensor) -> Tensor:
    return (a & MAGNITUDE) == INF


def is_zero(a: Tensor) -> Tensor:
    """True for zeros and for denormals, which count as zero."""
    return (a & MAGNITUDE) < MIN


def negate(a: Tensor) -> Tensor:
    return torch.where(is_nan(a), NAN, a ^ SIGN)


def finish(sign: Tensor, total: Tensor) -> Tensor:
    """Clamp a wide magnitude: below the smallest normal is zero, above the largest is infinity."""
    return sign | torch.where(total < MIN, 0, total.clamp(max=INF))


def _floor_step(total: Tensor) -> Tensor:
    """Round a wide sum down to a whole exponent."""
    return total & -STEP


def _mantissa(a: Tensor) -> Tensor:
    """The mantissa field; 0 for zeros, denormals and infinities."""
    return torch.where(is_zero(a) | is_infinite(a), 0, a & MANTISSA)


_NONE = -1
"""Not a word: stands for "no operand is special"."""


def _otherwise(special: Tensor, regular: Tensor) -> Tensor:
    return torch.where(special == _NONE, regular, special)


def _product_special(sign: Tensor, first: Tensor, *others: Tensor) -> Tensor:
    """IEEE result of a product of factors where one is NaN, infinite or zero, else ``_NONE``."""
    nan, zero, infinite = is_nan(first), is_zero(first), is_infinite(first)
    for factor in others:
        nan, zero, infinite = nan | is_nan(factor), zero | is_zero(factor), infinite | is_infinite(factor)
    result = torch.where(zero, sign, _NONE)
    result = torch.where(infinite, sign | INF, result)
    return torch.where(nan | (zero & infinite), NAN, result)


def _quotient_special(sign: Tensor, numerators: tuple[Tensor, ...], divisor: Tensor) -> Tensor:
    """IEEE result of product(numerators) / divisor where an operand is special, else ``_NONE``."""
    top = _product_special(torch.zeros_like(divisor), *numerators)
    result = torch.where(top == _NONE, _NONE, sign | top)
    result = torch.where(is_infinite(divisor), torch.where(top == INF, NAN, sign), result)
    result = torch.where(is_zero(divisor), torch.where(top == 0, NAN, sign | INF), result)
    return torch.where(is_nan(divisor) | (top == NAN), NAN, result)


def mul(a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
    """PAM, eqs. 5 to 8: mag(a) + mag(b) - ONE + offset."""
    sign = (a ^ b) & SIGN
    total = (a & MAGNITUDE) + (b & MAGNITUDE) - ONE + offset
    return _otherwise(_product_special(sign, a, b), finish(sign, total))


def mul_grad(grad: Tensor, a: Tensor, b: Tensor, offset: int = 0) -> Tensor:
    """Exact derivative of ``mul`` by ``a``, times ``grad``."""
    sign = (b ^ grad) & SIGN
    slope = _floor_step(_mantissa(a) + (b & MAGNITUDE) + offset)
    regular = finish(sign, slope + (grad & MAGNITUDE) - ONE)
    return torch.where(is_nan(a), NAN, _otherwise(_product_special(sign, b, grad), regular))


def div(a: Tensor, b: Tensor) -> Tensor:
    """PAD, eqs. 14 to 17 with the erratum: mag(a) - mag(b) + ONE."""
    sign = (a ^ b) & SIGN
    total = (a & MAGNITUDE) - (b & MAGNITUDE) + ONE
    return _otherwise(_quotient_special(sign, (a,), b), finish(sign, total))


def div_grad_numerator(grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Exact derivative of ``div`` by ``a``, times ``grad``."""
    sign = (b ^ grad) & SIGN
    slope = _floor_step(_mantissa(a) - (b & MAGNITUDE)) + ONE + ONE
    regular = finish(sign, slope + (grad & MAGNITUDE) - ONE)
    return torch.where(is_nan(a), NAN, _otherwise(_quotient_special(sign, (grad,), b), regular))


def div_grad_denominator(grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Exact derivative of ``div`` by ``b``, times ``grad``."""
    sign = (a ^ grad ^ SIGN) & SIGN
    magnitude = b & MAGNITUDE
    slope = _floor_step((a & MAGNITUDE) - magnitude) - _floor_step(magnitude) + ONE + ONE
    regular = finish(sign, slope + (grad & MAGNITUDE) - ONE)
    return _otherwise(_quotient_special(sign, (a, grad), b), regular)


def div_grad_denominator_approximate(grad: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Approximate derivative of ``div`` by ``b`` (Table 1): -(a * grad) / (b * b)."""
    return negate(div(mul(a, grad), mul(b, b)))


_EXP2_FAR = 1 << 12
"""An exponent past every range limit: arguments of ``exp2`` beyond it behave alike."""


def _fixed_point(x: Tensor) -> Tensor:
    """round_half_even(x * 2**23) of a finite ``x``, held within +-_EXP2_FAR; any value where x is not finite."""
    shift = ((x & MAGNITUDE) >> MANTISSA_BITS) - EXPONENT_BIAS
    significand = x & MANTISSA | STEP
    fixed = round_half_even(significand, (-shift).clamp(-11, MANTISSA_BITS + 2))
    fixed = torch.where(shift >= 12, _EXP2_FAR << MANTISSA_BITS, fixed)
    fixed = torch.where(is_zero(x), 0, fixed)
    return torch.where((x & SIGN) != 0, -fixed, fixed)


def round_half_even(number: Tensor, shift: Tensor | int) -> Tensor:
    """Drop the low ``shift`` bits of non-negative integers, rounding half to even; a negative shift appends zeros."""
    shift = torch.as_tensor(shift, device=number.device)
    right = shift.clamp(min=0)
    half = ((1 << right) >> 1) - 1
    rounded = (number + half + ((number >> right) & 1)) >> right
    return torch.where(shift <= 0, number << (-shift).clamp(min=0), rounded)


def exp2(x: Tensor) -> Tensor:
    """paexp2, eq. 9: round_half_even(x * 2**23) + ONE read as the bits of a float."""
    result = finish(torch.zeros_like(x), _fixed_point(x) + ONE)
    result = torch.where(is_infinite(x), torch.where((x & SIGN) != 0, 0, INF), result)
    return torch.where(is_nan(x), NAN, result)


def exp2_grad(grad: Tensor, x: Tensor) -> Tensor:
    """Exact derivative of ``exp2`` times ``grad``: 2**floor(x), the exponent of the result."""
    sign = grad & SIGN
    regular = finish(sign, _floor_step(_fixed_point(x) + ONE) + (grad & MAGNITUDE) - ONE)
    result = _otherwise(_product_special(sign, grad), regular)
    power = torch.where((x & SIGN) != 0, 0, INF)
    result = torch.where(is_infinite(x), _product_special(sign, power, grad), result)
    return torch.where(is_nan(x) | is_nan(grad), NAN, result)


def exp2_grad_approximate(grad: Tensor, x: Tensor) -> Tensor:
    """Approximate derivative of ``exp2`` (Table 1): (exp2(x) * ln 2) * grad."""
    return mul(mul(exp2(x), constant(LN2, x)), grad)


def log2(x: Tensor) -> Tensor:
    """palog2, eq. 10: (bits(x) - ONE) read with 23 fraction bits, rounded half-even to float."""
    result = from_fixed_point(x - ONE, MANTISSA_BITS)
    result = torch.where(is_infinite(x), INF, result)
    result = torch.where((x & SIGN) != 0, NAN, result)
    result = torch.where(is_zero(x), SIGN | INF, result)
    return torch.where(is_nan(x), NAN, result)


def log2_grad(grad: Tensor, x: Tensor) -> Tensor:
    """Exact derivative of ``log2`` times ``grad``: 2**-E, with the sign of ``x``."""
    sign = (x ^ grad) & SIGN
    regular = finish(sign, ONE - _floor_step(x & MAGNITUDE) + (grad & MAGNITUDE))
    return _otherwise(_quotient_special(sign, (grad,), x), regular)


def log2_grad_approximate(grad: Tensor, x: Tensor) -> Tensor:
    """Approximate derivative of ``log2`` (Table 1): grad / (x * ln 2)."""
    return div(grad, mul(x, constant(LN2, x)))


def bit_length(number: Tensor) -> Tensor:
    """Bits needed for integers in [0, 2**32)."""
    length = torch.zeros_like(number)
    for step in (16, 8, 4, 2, 1):
        long = number >= 1 << step
        length = torch.where(long, length + step, length)
        number = torch.where(long, number >> step, number)
    return length + number


def from_fixed_point(number: Tensor, fraction_bits: int) -> Tensor:
    """number * 2**-fraction_bits, |number| < 2**32, rounded half-even; below the smallest normal is zero."""
    sign = torch.where(number < 0, SIGN, 0)
    magnitude = number.abs()
    drop = bit_length(magnitude) - (MANTISSA_BITS + 1)
    significand = round_half_even(magnitude, drop)  # 24 bits, or 2**24 after a carry
    exponent = drop - fraction_bits + MANTISSA_BITS + EXPONENT_BIAS
    result = finish(sign, ((exponent - 1) << MANTISSA_BITS) + significand)
    return torch.where(number == 0, 0, result)


def add_floats(a: Tensor, b: Tensor) -> Tensor:
    """float32 sum of operands without denormals, flushed; a NaN has any payload."""
    total = (a + b).view(torch.int32)
    return torch.where((total & MAGNITUDE) < MIN, total & _SIGN_INT32, total).view(torch.float32)


_SIGN_INT32 = SIGN - (1 << 32)


def add(a: Tensor, b: Tensor) -> Tensor:
    """IEEE 754 addition, half-even, with denormal operands and results as zeros of their sign."""
    return canonical(words(add_floats(floats(flush(a)), floats(flush(b)))))


def canonical(a: Tensor) -> Tensor:
    """Every NaN as the canonical one."""
    return torch.where(is_nan(a), NAN, a)


def positive_zero(a: Tensor) -> Tensor:
    return torch.where(is_zero(a), 0, a)


def narrow(a: Tensor, mantissa_bits: int) -> Tensor:
    """Round half-even to ``mantissa_bits`` mantissa bits (Appendix D); 1 to 23."""
    if not 1 <= mantissa_bits <= MANTISSA_BITS:
        raise ValueError(f"mantissa_bits must be 1 to 23, got {mantissa_bits}")
    drop = MANTISSA_BITS - mantissa_bits
    rounded = round_half_even(flush(a) & MAGNITUDE, drop) << drop
    return torch.where(is_nan(a), NAN, finish(a & SIGN, rounded))


def floor(a: Tensor) -> Tensor:
    """Largest whole number not above ``a``; NaN and infinities stay."""
    magnitude, negative = a & MAGNITUDE, (a & SIGN) != 0
    shift = (magnitude >> MANTISSA_BITS) - EXPONENT_BIAS
    drop = (MANTISSA_BITS - shift).clamp(0, MANTISSA_BITS)
    fraction = (1 << drop) - 1
    # The fraction of a negative number is rounded up; the carry may reach the exponent.
    whole = (a & SIGN) | ((torch.where(negative, magnitude + fraction, magnitude) >> drop) << drop)
    below_one = torch.where(negative, SIGN | ONE, 0)
    result = torch.where(shift < 0, torch.where(is_zero(a), a & SIGN, below_one), whole)
    return canonical(result)


def constant(word: int, like: Tensor) -> Tensor:
    """One word on the device of ``like``."""
    return torch.tensor(word, dtype=torch.int64, device=like.device)
