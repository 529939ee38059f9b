// GELU where it is tame: 2^-20 <= |x| < 7, so that nothing on the way overflows and no value of the forward pass
// becomes too small; for the derivative |grad| < 2^60 too. Same bits as `gelu` and `d_gelu`, a fifth of the work.
#pragma once
#include "activations.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int32_t kGeluLeast = kOne - 20 * kStep;
constexpr std::int32_t kGeluMost = 0x40e00000;  // 7
constexpr std::int32_t kGeluMostGrad = kOne + 60 * kStep;

inline bool tame_for_gelu(Int x) {
  return !any(at_least_unsigned(magnitude(x) - kGeluLeast, splat(kGeluMost - kGeluLeast)));
}

__attribute__((noinline)) inline Int gelu_general(Int x) { return gelu(x); }

template <bool exact>
__attribute__((noinline)) inline Int d_gelu_general(Int grad, Int x) {
  return d_gelu<exact>(grad, x);
}

// Magnitudes of the values on the way; `fixed` is -u log2(e) as an integer with 23 fraction bits.
struct GeluSteps {
  explicit GeluSteps(Int x)
      : x(magnitude(x)),
        square(this->x + this->x - kOne),
        cube(square + this->x - kOne),
        inner(magnitude(add_floats(x, (cube + (kGeluCubic - kOne)) | sign_of(x)))),
        u(inner + (kGeluScale - kOne)),
        fixed(round_to_integer((u + (kLog2e - kOne + 23 * kStep)) | sign_of(~x))),
        denominator(add_floats(splat(kOne), fixed + kOne)) {}
  Int x, square, cube, inner, u, fixed, denominator;
};

inline Int gelu_fast(Int x) {
  if (!tame_for_gelu(x)) [[unlikely]] return gelu_general(x);
  const GeluSteps step(x);
  return (step.x - step.denominator + kOne) | sign_of(x);
}

inline Int whole_steps(Int total) { return total & ~kMantissa; }

// What a slope of a product by a factor with mantissa `a` adds to the gradient's magnitude; the other factor is b.
template <bool exact>
inline Int slope_of_product(Int a, Int b) {
  return (exact ? whole_steps((a & kMantissa) + b) : b) - kOne;
}

template <bool exact>
inline Int d_gelu_fast(Int grad, Int x) {
  const Int mg = magnitude(grad);
  if (!tame_for_gelu(x) || any(mg >= kGeluMostGrad)) [[unlikely]] return d_gelu_general<exact>(grad, x);
  const GeluSteps step(x);
  const Int bottom = step.denominator;
  const Int sign = sign_of(x ^ grad);
  // `least` is the smallest magnitude so far: once a step was flushed to zero, all that follow are zero.
  Int least = mg, outer, d_inner;
  if constexpr (exact) {
    outer = whole_steps((step.x & kMantissa) - bottom) + kOne + mg;
    Int d_power = whole_steps(step.x - bottom) + kOne - whole_steps(bottom) + mg;
    d_inner = whole_steps(step.fixed) + d_power;
    least = smaller(least, smaller(d_power, d_inner));
  } else {
    outer = mg - bottom + kOne;
    Int top = step.x + mg - kOne;
    Int d_power = top - (bottom + bottom - kOne) + kOne;
    d_inner = step.fixed + kLn2 - kOne + d_power;
    least = smaller(smaller(least, top), smaller(d_power, d_inner));
  }
  d_inner += slope_of_product<exact>(step.u, splat(kLog2e)) + slope_of_product<exact>(step.inner, splat(kGeluScale));
  const auto finish = [sign](Int total, Int floor) { return (total & (smaller(total, floor) >= kMin)) | sign; };
  Int by_inner = finish(d_inner, least);
  Int d_cube = d_inner + slope_of_product<exact>(step.cube, splat(kGeluCubic));
  least = smaller(least, d_cube);
  Int by_factor = finish(d_cube + slope_of_product<exact>(step.x, step.square), least);
  Int d_square = d_cube + slope_of_product<exact>(step.square, step.x);
  least = smaller(least, d_square);
  Int by_square = finish(d_square + slope_of_product<exact>(step.x, step.x), least);
  outer = (outer & (smaller(outer, mg) >= kMin)) | sign_of(grad);
  return add_floats(add_floats(add_floats(outer, by_inner), by_factor), add_floats(by_square, by_square));
}

}  // namespace mulfree::MF_TARGET
