// Two forms of the arithmetic of the optimizers' steps. `GeneralStep` is the law with every special value. `TameStep`
// returns the same bits, but for the sign and the size of what an addition takes for zero, where nothing overflows:
// factors between 2^-40 and 1 or zero, magnitudes below 2^30, second moments not negative.
#pragma once
#include "functions.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int32_t kTameMost = kOne + 30 * kStep;

// A number of the host that multiplies or divides every element.
struct Factor {
  explicit Factor(std::int32_t word) : Factor(splat(word)) {}
  explicit Factor(Int words) : bits(words), zero((words[0] & kMagnitude) < kMin) {
    const bool in_range = words[0] >= kOne - 40 * kStep && words[0] <= kOne;
    divides = in_range;
    multiplies = in_range || words[0] == 0;
    shift = zero ? splat(-kInf) : bits - kOne;  // for zero: no sum reaches the smallest normal
  }
  Int bits, shift;
  bool zero, multiplies, divides;  // the latter two: where TameStep may be used
};

struct GeneralStep {
  static Int add(Int a, Int b) { return MF_TARGET::add(a, b); }
  static Int subtract(Int a, Int b) { return MF_TARGET::subtract(a, b); }
  static Int times(Int x, const Factor& f) { return mul(x, f.bits); }
  static Int square(Int x) { return mul(x, x); }
  static Int root(Int x, const Factor& f) { return sqrt(div(x, f.bits)); }  // of x / f
  static Int over(Int x, const Factor& f, Int root) { return div(div(x, f.bits), root); }
  static Int sign(Int x) {
    Int m = magnitude(x);
    return select(is_nan(m), splat(kNan), (sign_of(x) | kOne) & ~is_zero(m));
  }
  // The larger numbers, those of b where they are equal; NaN if there is one.
  static Int larger(Int a, Int b) {
    return select(is_nan(magnitude(a)) | is_nan(magnitude(b)), splat(kNan), larger_float(flush(a), b));
  }
};

struct TameStep {
  static Int add(Int a, Int b) { return add_floats(a, b); }
  static Int subtract(Int a, Int b) { return as_int(as_float(a) - as_float(b)); }
  static Int times(Int x, const Factor& f) { return MF_TARGET::larger(magnitude(x) + f.shift, Int{}) | sign_of(x); }
  static Int square(Int x) {
    Int m = magnitude(x);
    return MF_TARGET::larger(m + m - kOne, Int{});
  }
  // Half the logarithm as a fixed-point number, and back.
  static Int root(Int x, const Factor& f) {
    Int logarithm = x - f.bits, half = (round_to_float(logarithm) - kStep) & (logarithm != 0);
    return (round_to_integer(half) + kOne) & (x >= kMin);
  }
  static Int over(Int x, const Factor& f, Int root) {
    Int m = magnitude(x), quotient = m - f.shift - root + kOne;
    return (quotient & (smaller(quotient, m) >= kMin)) | sign_of(x);
  }
  static Int sign(Int x) { return (sign_of(x) | kOne) & ~is_zero(magnitude(x)); }
  static Int larger(Int a, Int b) { return MF_TARGET::larger(flush(a), b); }
};

}  // namespace mulfree::MF_TARGET
