// Activation functions and their derivatives (docs/spec.md, section 7), complete with special values.
#pragma once
#include "functions.hpp"

namespace mulfree::MF_TARGET {

// -x log2(e), at most 127, so that no infinity reaches the derivative.
inline Int logistic_exponent(Int x) {
  Int exponent = mul(negate(x), splat(kLog2e));
  return select((exponent > kSigmoidMost) & (exponent <= kInf), splat(kSigmoidMost), exponent);
}

inline Int sigmoid(Int x) { return div(splat(kOne), add(splat(kOne), exp2(logistic_exponent(x)))); }

template <bool exact>
inline Int d_sigmoid(Int grad, Int x) {
  Int one = splat(kOne), exponent = logistic_exponent(x);
  Int d_power = d_denominator<exact>(grad, one, add(one, exp2(exponent)));
  return negate(d_mul<exact>(d_exp2<exact>(d_power, exponent), negate(x), splat(kLog2e)));
}

inline Int silu(Int x) { return mul(x, sigmoid(x)); }

template <bool exact>
inline Int d_silu(Int grad, Int x) {
  Int logistic = sigmoid(x);
  return add(d_mul<exact>(grad, x, logistic), d_sigmoid<exact>(d_mul<exact>(grad, logistic, x), x));
}

// 2 a: a step of the exponent.
inline Int doubled(Int a) {
  Int m = magnitude(a);
  Int result = (smaller(m, splat(kInf - kStep)) + kStep) & (m >= kMin);
  return select(is_nan(m), splat(kNan), result | sign_of(a));
}

// The values of tanh on the way: e = exp(-2 |x|), 1 - e and 1 + e.
struct TanhSteps {
  explicit TanhSteps(Int x)
      : twice(negate(doubled(magnitude(x)))),
        power(exp(twice)),
        top(subtract(splat(kOne), power)),
        bottom(add(splat(kOne), power)) {}
  Int twice, power, top, bottom;
};

inline Int tanh(Int x) {
  const TanhSteps step(x);
  return canonical(div(step.top, step.bottom) | sign_of(x));
}

template <bool exact>
inline Int d_tanh(Int grad, Int x) {
  const TanhSteps step(x);
  Int d_top = d_numerator<exact>(grad, step.top, step.bottom);
  Int d_power = subtract(d_denominator<exact>(grad, step.top, step.bottom), d_top);
  return negate(doubled(d_exp<exact>(d_power, step.twice)));
}

// The argument of GELU's logistic function and the values on the way to it.
struct GeluInner {
  explicit GeluInner(Int x)
      : square(mul(x, x)),
        cube(mul(square, x)),
        inner(add(x, mul(cube, splat(kGeluCubic)))),
        result(mul(inner, splat(kGeluScale))) {}
  Int square, cube, inner, result;
};

inline Int gelu(Int x) { return mul(x, sigmoid(GeluInner(x).result)); }

template <bool exact>
inline Int d_gelu(Int grad, Int x) {
  GeluInner u(x);
  Int logistic = sigmoid(u.result);
  Int outer = d_mul<exact>(grad, x, logistic);
  Int d_u = d_sigmoid<exact>(d_mul<exact>(grad, logistic, x), u.result);
  Int d_inner = d_mul<exact>(d_u, u.inner, splat(kGeluScale));
  Int d_cube = d_mul<exact>(d_inner, u.cube, splat(kGeluCubic));
  Int by_factor = d_mul<exact>(d_cube, x, u.square);
  Int d_square = d_mul<exact>(d_cube, u.square, x);
  Int by_square = d_mul<exact>(d_square, x, x);
  return add(add(add(outer, d_inner), by_factor), add(by_square, by_square));
}

}  // namespace mulfree::MF_TARGET
