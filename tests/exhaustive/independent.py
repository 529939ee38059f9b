"""The primitive operations once more, block-wise in numpy, written independently of the package.

IEEE arithmetic in double precision does what the law does with shifts: a float32 times 2**23 is exact in float64
and ``rint`` rounds half-even. Where an operand of a product is zero, infinite or NaN, IEEE's own result is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

_ONE, _MIN, _INF = 0x3F800000, 0x00800000, 0x7F800000
_SIGN, _MAGNITUDE = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
_LN2 = np.float32(np.log(2.0)).view(np.uint32)


def _flushed(words: Words) -> Words:
    return np.where(words & _MAGNITUDE < _MIN, words & _SIGN, words)


def _finished(result: NDArray[np.float32]) -> Words:
    """Bits of ``result``, denormals flushed, every NaN canonical."""
    words = np.where(np.isnan(result), np.float32(np.nan), result).view(np.uint32)
    return _flushed(np.where(np.isnan(result), np.uint32(0x7FC00000), words))


def _piecewise(a: Words, b: Words, divide: bool) -> Words:
    a, b = _flushed(a), _flushed(b)
    first, second = (a & _MAGNITUDE).astype(np.int64), (b & _MAGNITUDE).astype(np.int64)
    total = first - second + _ONE if divide else first + second - _ONE
    total[total < _MIN] = 0
    np.minimum(total, _INF, out=total)
    result = total.astype(np.uint32) | (a ^ b) & _SIGN
    special = (first == 0) | (first >= _INF) | (second == 0) | (second >= _INF)
    x, y = np.broadcast_to(a, result.shape)[special], np.broadcast_to(b, result.shape)[special]
    with np.errstate(all="ignore"):
        ieee = np.divide if divide else np.multiply
        result[special] = _finished(ieee(x.view(np.float32), y.view(np.float32)))
    return result


def mul(a: Words, b: Words) -> Words:
    return _piecewise(a, b, divide=False)


def div(a: Words, b: Words) -> Words:
    return _piecewise(a, b, divide=True)


def exp2_family(x: Words) -> dict[str, Words]:
    """paexp2 and its two derivatives for the gradient 1."""
    with np.errstate(all="ignore"):
        fixed = np.rint(_flushed(x).view(np.float32).astype(np.float64) * 2.0**23)
        whole = np.floor(fixed / 2.0**23)
        fraction = np.where(np.isfinite(fixed), fixed / 2.0**23 - whole, 0.0)
        exponent = np.clip(np.nan_to_num(whole), -2000, 2000).astype(np.int32)
        value = _finished(np.ldexp(1.0 + fraction, exponent).astype(np.float32))
        slope = _finished(np.ldexp(1.0, exponent).astype(np.float32))
    nan = np.isnan(fixed)
    value[nan] = slope[nan] = 0x7FC00000
    # No rounding reaches 128 from below or -126 from above: in range the conversion to float32 is exact.
    return {"exp2": value, "exact": slope, "approximate": mul(value, _LN2)}


def log2_family(x: Words) -> dict[str, Words]:
    """palog2 and its two derivatives for the gradient 1."""
    flushed = _flushed(x)
    magnitude = flushed & _MAGNITUDE
    value = _finished(((x.astype(np.int64) - _ONE) / 2.0**23).astype(np.float32))
    value[flushed > _SIGN] = 0x7FC00000
    value[magnitude == 0] = 0xFF800000
    value[flushed == _INF] = _INF
    value[magnitude > _INF] = 0x7FC00000
    number = flushed.view(np.float32)
    power = (flushed & np.uint32(0xFF800000)).view(np.float32)
    with np.errstate(all="ignore"):
        slope = _finished(np.where(np.isnan(number), number, np.float32(1) / power))
    return {
        "log2": value,
        "exact": slope,
        "approximate": div(np.full_like(x, _ONE), mul(x, np.full_like(x, _LN2))),
    }
