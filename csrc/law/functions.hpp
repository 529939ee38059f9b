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

}  // namespace mulfree::MF_TARGET
