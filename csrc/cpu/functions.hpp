// Functions composed of the law's operations (docs/spec.md, section 7), and the choice between the two derivatives.
#pragma once
#include "arithmetic.hpp"

namespace mulfree::MF_TARGET {

template <bool exact>
inline Int d_mul(Int grad, Int a, Int b) {
  return exact ? mul_grad(grad, a, b) : mul(b, grad);
}

template <bool exact>
inline Int d_numerator(Int grad, Int a, Int b) {
  return exact ? div_grad_numerator(grad, a, b) : div(grad, b);
}

template <bool exact>
inline Int d_denominator(Int grad, Int a, Int b) {
  return exact ? div_grad_denominator(grad, a, b) : div_grad_denominator_approximate(grad, a, b);
}

template <bool exact>
inline Int d_exp2(Int grad, Int x) {
  return exact ? exp2_grad(grad, x) : exp2_grad_approximate(grad, x);
}

template <bool exact>
inline Int d_log2(Int grad, Int x) {
  return exact ? log2_grad(grad, x) : log2_grad_approximate(grad, x);
}

inline Int exp(Int x) { return exp2(mul(x, splat(kLog2e))); }

template <bool exact>
inline Int d_exp(Int grad, Int x) {
  Int log2e = splat(kLog2e);
  return d_mul<exact>(d_exp2<exact>(grad, mul(x, log2e)), x, log2e);
}

inline Int log(Int x) { return div(log2(x), splat(kLog2e)); }

template <bool exact>
inline Int d_log(Int grad, Int x) {
  return d_log2<exact>(d_numerator<exact>(grad, log2(x), splat(kLog2e)), x);
}

inline Int sqrt(Int x) { return exp2(div(log2(x), splat(kTwo))); }

template <bool exact>
inline Int d_sqrt(Int grad, Int x) {
  Int two = splat(kTwo), logarithm = log2(x);
  Int half = d_exp2<exact>(grad, div(logarithm, two));
  return d_log2<exact>(d_numerator<exact>(half, logarithm, two), x);
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

inline Int gelu(Int x) { return div(x, add(splat(kOne), exp(negate(GeluInner(x).result)))); }

template <bool exact>
inline Int d_gelu(Int grad, Int x) {
  GeluInner u(x);
  Int minus_u = negate(u.result);
  Int denominator = add(splat(kOne), exp(minus_u));
  Int outer = d_numerator<exact>(grad, x, denominator);
  Int d_power = d_denominator<exact>(grad, x, denominator);
  Int d_u = negate(d_exp<exact>(d_power, minus_u));
  Int d_inner = d_mul<exact>(d_u, u.inner, splat(kGeluScale));
  Int d_cube = d_mul<exact>(d_inner, u.cube, splat(kGeluCubic));
  Int by_factor = d_mul<exact>(d_cube, x, u.square);
  Int d_square = d_mul<exact>(d_cube, u.square, x);
  Int by_square = d_mul<exact>(d_square, x, x);
  return add(add(add(outer, d_inner), by_factor), add(by_square, by_square));
}

}  // namespace mulfree::MF_TARGET
