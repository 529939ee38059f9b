"""Apart from range limits, words with mul and div are a commutative group: regrouping changes no bit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mulfree.numerics.formats import ONE, SIGN
from mulfree.numerics.scalar import div, mul

# Exponents within +-30: products and quotients of four stay in range.
words = st.builds(
    lambda sign, exponent, mantissa: sign << 31 | (127 + exponent) << 23 | mantissa,
    st.integers(0, 1),
    st.integers(-30, 30),
    st.integers(0, (1 << 23) - 1),
)


@given(words, words)
def test_commutative(a: int, b: int) -> None:
    assert mul(a, b) == mul(b, a)


@given(words, words, words)
def test_associative(a: int, b: int, c: int) -> None:
    assert mul(mul(a, b), c) == mul(a, mul(b, c))


@given(words)
def test_identity_and_inverse(a: int) -> None:
    assert mul(a, ONE) == a
    assert div(a, ONE) == a
    assert div(a, a) == ONE
    assert mul(a, div(ONE, a)) == ONE


@given(words, words)
def test_div_undoes_mul(a: int, b: int) -> None:
    assert div(mul(a, b), b) == a
    assert mul(div(a, b), b) == a
    assert div(a, b) == mul(a, div(ONE, b))


@given(words, words, words, words)
def test_regrouping(a: int, b: int, c: int, d: int) -> None:
    assert div(mul(a, b), mul(c, d)) == mul(div(a, c), div(b, d)) == div(div(mul(b, a), d), c)


@given(words, words)
def test_signs_separate(a: int, b: int) -> None:
    assert mul(a ^ SIGN, b) == mul(a, b ^ SIGN) == mul(a, b) ^ SIGN


@given(words, st.integers(-20, 20))
def test_powers_of_two_are_exact(a: int, exponent: int) -> None:
    assert mul(a, (127 + exponent) << 23) == a + exponent * (1 << 23)
