// The powers of two inside softmax, log-softmax, logsumexp and cross-entropy, and their derivatives.
//
// Each has a general form, made of the law's operations, and a *tame* form with the same bits where no operand is NaN
// and nothing can overflow: there a product is one addition, and only results that become too small need care.
#pragma once
#include "functions.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int32_t power_of_two(int k) { return kOne + k * kStep; }

// Largest magnitudes that tame forms accept.
constexpr std::int32_t kTameRow = power_of_two(100);
constexpr std::int32_t kTameTotal = power_of_two(40);
constexpr std::int32_t kTameGrad = power_of_two(40);

inline bool below(Int magnitudes, std::int32_t bound) { return !any(magnitudes >= bound); }

struct Shift {
  Int value;    // floor(max(x log2(e))), in every lane
  Int largest;  // max(x)
  bool tame;
};

// x log2(e), held at the largest finite magnitude where x is finite. Only rows that are not tame need holding.
inline Int scaled(Int x) {
  Int z = mul(x, splat(kLog2e));
  return select(is_infinite(magnitude(z)) & ~is_infinite(magnitude(x)), sign_of(z) | splat(kMax), z);
}

inline bool is_held(Int shift) { return any(magnitude(shift) == splat(kMax)); }

// The shift of a row whose greatest entry is known.
inline Int shift_of(Int largest) {
  Int shift = floor(scaled(largest));
  return select(is_zero(magnitude(shift)), Int{}, shift);
}

// Whether a row with these forward results allows the tame forms.
inline bool is_tame(Int shift, Int whole) {
  return below(magnitude(shift), kTameRow) && !any(at_least_unsigned(whole - kOne, splat(kTameTotal - kOne)));
}

struct GeneralPowers {
  Int shift;
  Int argument(Int x) const { return subtract(scaled(x), shift); }
  Int operator()(Int x) const { return exp2(argument(x)); }
};

// exp2 without its flush: results below the smallest normal, negative ones included, stand for zero. Arguments are
// held above `least`; -127 suffices where the power is added, -192 where its exponent meets a tame gradient.
struct TamePowers {
  Int shift;
  Int operator()(Int x, float least) const {
    Int held = larger_float(x, splat(power_of_two(100) | kSign)) + (kLog2e - kOne);
    Int argument = as_int(as_float(held) - as_float(shift));
    return round_to_integer(larger_float(argument, as_int(Float{} + least)) + 23 * kStep) + kOne;
  }
};

constexpr float kAdded = -127.0f;
constexpr float kMetByGrad = -192.0f;

// Gradient by x of exp2(x log2(e) - shift) times `grad`.
template <bool exact>
inline Int d_power(const GeneralPowers& powers, Int grad, Int x) {
  return d_mul<exact>(d_exp2<exact>(grad, powers.argument(x)), x, splat(kLog2e));
}

template <bool exact>
inline Int d_power_tame(Int power, Int grad, Int x) {
  Int mg = magnitude(grad), sign = sign_of(grad);
  if constexpr (exact) {
    Int scaled = (power & ~kMantissa) - kOne + mg;
    Int carry = ((x & kMantissa) + (kLog2e & kMantissa)) & kStep & (magnitude(x) >= kMin);
    return ((scaled + carry) & (smaller(scaled, mg) >= kMin)) | sign;
  } else {
    Int slope = power + (kLn2 - kOne);
    Int scaled = slope + mg - kOne;
    return ((scaled + (kLog2e - kOne)) & (smaller(smaller(slope, scaled), mg) >= kMin)) | sign;
  }
}

// (shift + log2(whole)) / log2(e)
inline Int level_of(Int shift, Int whole) { return div(add(shift, log2(whole)), splat(kLog2e)); }

// The same for a row, whose maximum itself stands in where it was held.
inline Int level_of(const Shift& shift, Int whole) {
  return is_held(shift.value) ? shift.largest : level_of(shift.value, whole);
}

// Gradient by the total of the powers of a gradient by the level.
template <bool exact>
inline Int d_level(Int grad, Int shift, Int whole) {
  return d_log2<exact>(d_numerator<exact>(grad, add(shift, log2(whole)), splat(kLog2e)), whole);
}

}  // namespace mulfree::MF_TARGET
