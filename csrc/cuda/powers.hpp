// The powers of two inside softmax, log-softmax, logsumexp and cross-entropy, and their derivatives.
//
// Each has a general form, made of the law's operations, and a *tame* form with the same bits where no operand is NaN
// and nothing can overflow: there a product is one addition, and only results that become too small need care.
#pragma once
#include "rows.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int32_t power_of_two(int k) { return kOne + k * kStep; }

// Largest magnitudes that tame forms accept.
constexpr std::int32_t kTameRow = power_of_two(100);
constexpr std::int32_t kTameTotal = power_of_two(40);
constexpr std::int32_t kTameGrad = power_of_two(40);

struct Shift {
  Int value;    // floor(max(x log2(e)))
  Int largest;  // max(x)
  bool tame;
};

// x log2(e), held at the largest finite magnitude where x is finite. Only rows that are not tame need holding.
inline Int scaled(Int x) {
  const Int z = mul(x, splat(kLog2e));
  return select(is_infinite(magnitude(z)) & ~is_infinite(magnitude(x)), sign_of(z) | kMax, z);
}

inline bool is_held(Int shift) { return any(magnitude(shift) == kMax); }

// The shift of a row whose greatest entry is known.
inline Int shift_of(Int largest) {
  const Int shift = floor(scaled(largest));
  return select(is_zero(magnitude(shift)), Int{}, shift);
}

template <class W, class X>
inline Shift find_shift(std::int64_t n, const X& x) {
  Int largest = kInf | kSign, reach;
  W::each(n, [&](Place at) {
    const Int v = x(at);
    reach = larger(reach, magnitude(v));
    largest = larger_float(v, largest);
  });
  if (any_lane(any(is_nan(reach)))) return {Int(kNan), Int(kNan), false};
  MF_UNROLL
  for (int width = kWarp / 2; width > 0; width /= 2)
    largest = larger_float(Int(__shfl_xor_sync(kAllLanes, largest.v, width)), largest);
  largest = flush(largest);
  return {shift_of(largest), largest, magnitude(largest).v < kTameRow};
}

// Whether a row with these forward results allows the tame forms.
inline bool is_tame(Int shift, Int whole) {
  return magnitude(shift).v < kTameRow && !any(at_least_unsigned(whole - kOne, splat(kTameTotal - kOne)));
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
  float least = -127.0f;
  Int operator()(Int x) const {
    const Int held = larger_float(x, Int(power_of_two(100) | kSign)) + (kLog2e - kOne);
    const Int argument = as_int(as_float(held) - as_float(shift));
    return round_to_integer(larger_float(argument, as_int(Float{least})) + 23 * kStep) + kOne;
  }
};

constexpr float kMetByGrad = -192.0f;

// The total of the powers of row x, which `from` names in memory.
template <class X>
inline Int sum_powers(const std::int32_t* from, std::int64_t n, const X& x, const Shift& shift) {
  if (shift.tame) return Near::sum(n, [&, powers = TamePowers{shift.value}](Place at) { return powers(x(at)); });
  return Far::sum(n, [&, powers = GeneralPowers{shift.value}](Place at) { return powers(fetch(from + at.column)); });
}

// Gradient by x of exp2(x log2(e) - shift) times `grad`.
template <bool exact>
inline Int d_power(const GeneralPowers& powers, Int grad, Int x) {
  return d_mul<exact>(d_exp2<exact>(grad, powers.argument(x)), x, splat(kLog2e));
}

// The same, with the power itself.
template <bool exact>
inline Int d_power_tame(Int power, Int grad, Int x) {
  const Int mg = magnitude(grad), sign = sign_of(grad);
  if constexpr (exact) {
    const Int scaled = (power & ~kMantissa) - kOne + mg;
    const Int carry = ((x & kMantissa) + (kLog2e & kMantissa)) & kStep & (magnitude(x) >= kMin);
    return ((scaled + carry) & (smaller(scaled, mg) >= kMin)) | sign;
  } else {
    const Int slope = power + (kLn2 - kOne);
    const Int scaled = slope + mg - kOne;
    return ((scaled + (kLog2e - kOne)) & (smaller(smaller(slope, scaled), mg) >= kMin)) | sign;
  }
}

// (shift + log2(whole)) / log2(e), or the row's maximum where it was held.
inline Int level_of(const Shift& shift, Int whole) {
  return is_held(shift.value) ? shift.largest : div(add(shift.value, log2(whole)), splat(kLog2e));
}

// Gradient by the total of the powers of a gradient by the level.
template <bool exact>
inline Int d_level(Int grad, Int shift, Int whole) {
  return d_log2<exact>(d_numerator<exact>(grad, add(shift, log2(whole)), splat(kLog2e)), whole);
}

// out = extra(column) + gradient by x of the level, of which d_whole is the gradient by the total; all in memory.
template <bool exact, class Extra>
inline void d_powers_of_row(const std::int32_t* x, std::int32_t* out, std::int64_t n, Int shift, Int whole, Int d_whole,
                            Extra&& extra) {
  if (is_tame(shift, whole) && magnitude(d_whole).v < kTameGrad) {
    const TamePowers powers{shift, kMetByGrad};
    return Near::each(n, [&](Place at) {
      const Int v = fetch(x + at.column);
      out[at.column] = add_floats(extra(at.column), d_power_tame<exact>(powers(v), d_whole, v)).v;
    });
  }
  const GeneralPowers powers{shift};
  Far::each(n, [&](Place at) {
    out[at.column] = add(extra(at.column), d_power<exact>(powers, d_whole, fetch(x + at.column))).v;
  });
}

}  // namespace mulfree::MF_TARGET
