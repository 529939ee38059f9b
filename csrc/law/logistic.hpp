// Sigmoid, SiLU and tanh where they are tame: |x| < 40, so that nothing on the way overflows or is infinite; for the
// derivatives |grad| < 2^60 too. Same bits as the functions of activations.hpp, a third of the work.
#pragma once
#include "activations.hpp"
#include "tame.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int32_t kLogisticMost = 0x42200000;  // 40
constexpr std::int32_t kLogisticMostGrad = kOne + 60 * kStep;

inline bool is_tame_logistic(Int x) { return !any(magnitude(x) >= kLogisticMost); }
inline bool is_tame_logistic(Int grad, Int x) {
  return !any((magnitude(grad) >= kLogisticMostGrad) | (magnitude(x) >= kLogisticMost));
}

template <Int (*function)(Int)>
__attribute__((noinline)) Int out_of_line(Int x) {
  return function(x);
}
template <Int (*function)(Int, Int)>
__attribute__((noinline)) Int out_of_line(Int grad, Int x) {
  return function(grad, x);
}

// exp of a word whose scaled exponent is within +-126; zeros and denormals round to the exponent 0.
inline Int exp_tame(Int x) {
  return round_to_integer((magnitude(x) + (kLog2e - kOne + 23 * kStep)) | sign_of(x)) + kOne;
}

// The derivative of exp, whose value is `power`, at a word with the mantissa of x.
template <bool exact>
inline Int d_exp_tame(Int grad, Int x, Int power) {
  using Form = Tame<exact>;
  Int mg = magnitude(grad);
  Int scaled = exact ? Form::finish((power & ~kMantissa) + mg - kOne, mg, grad) : Form::mul(power + (kLn2 - kOne), grad);
  return Form::d_mul(scaled, x, splat(kLog2e));
}

struct LogisticSteps {
  explicit LogisticSteps(Int x)
      : power(exp_tame(x ^ kSign)), bottom(add_floats(splat(kOne), power)), result(2 * kOne - bottom) {}
  Int power, bottom, result;
};

template <bool exact>
inline Int d_sigmoid_tame(Int grad, Int x, const LogisticSteps& step) {
  Int d_power = Tame<exact>::d_denominator(grad, splat(kOne), step.bottom);
  return d_exp_tame<exact>(d_power, x, step.power) ^ kSign;
}

inline Int sigmoid_fast(Int x) {
  if (!is_tame_logistic(x)) [[unlikely]] return out_of_line<sigmoid>(x);
  return LogisticSteps(x).result;
}

template <bool exact>
inline Int d_sigmoid_fast(Int grad, Int x) {
  if (!is_tame_logistic(grad, x)) [[unlikely]] return out_of_line<d_sigmoid<exact>>(grad, x);
  return d_sigmoid_tame<exact>(grad, x, LogisticSteps(x));
}

inline Int silu_fast(Int x) {
  if (!is_tame_logistic(x)) [[unlikely]] return out_of_line<silu>(x);
  return Tame<true>::mul(x, LogisticSteps(x).result);
}

template <bool exact>
inline Int d_silu_fast(Int grad, Int x) {
  using Form = Tame<exact>;
  if (!is_tame_logistic(grad, x)) [[unlikely]] return out_of_line<d_silu<exact>>(grad, x);
  const LogisticSteps step(x);
  Int d_logistic = Form::d_mul(grad, step.result, x);
  return add_floats(Form::d_mul(grad, x, step.result), d_sigmoid_tame<exact>(d_logistic, x, step));
}

struct TanhTameSteps {
  explicit TanhTameSteps(Int x)
      : power(exp_tame((magnitude(x) + kStep) | kSign)),
        top(add_floats(splat(kOne), power ^ kSign)),
        bottom(add_floats(splat(kOne), power)) {}
  Int power, top, bottom;
};

inline Int tanh_fast(Int x) {
  if (!is_tame_logistic(x)) [[unlikely]] return out_of_line<tanh>(x);
  const TanhTameSteps step(x);
  return ((step.top - step.bottom + kOne) & (step.top >= kMin)) | sign_of(x);
}

template <bool exact>
inline Int d_tanh_fast(Int grad, Int x) {
  using Form = Tame<exact>;
  if (!is_tame_logistic(grad, x)) [[unlikely]] return out_of_line<d_tanh<exact>>(grad, x);
  const TanhTameSteps step(x);
  Int d_top = Form::d_numerator(grad, step.top, step.bottom);
  Int d_power = add_floats(Form::d_denominator(grad, step.top, step.bottom), d_top ^ kSign);
  Int d_twice = d_exp_tame<exact>(d_power, x, step.power);
  return ((magnitude(d_twice) + kStep) & (magnitude(d_twice) >= kMin)) | sign_of(~d_twice);
}

}  // namespace mulfree::MF_TARGET
