// Which form of the operations (tame.hpp) layer norm and its derivatives may take, by the numbers that they meet.
#pragma once
#include "tame.hpp"

namespace mulfree::MF_TARGET {

// Bounds of the tame form, in which no step overflows: magnitudes below 2^20, and the root above 2^-20 too.
constexpr std::int32_t kMost = kOne + 20 * kStep;
constexpr std::int32_t kLeastRoot = kOne - 20 * kStep;
// Bounds of the plain form, in which no step becomes too small either: weights above 2^-20, centred numbers above
// 2^-24, gradients zero or above 2^-40, the gradient by a square between 2^-90 and 2^90.
constexpr std::int32_t kLeastWeight = kLeastRoot;
constexpr std::int32_t kLeastCentred = kOne - 24 * kStep;
constexpr std::int32_t kLeastGrad = kOne - 40 * kStep;
constexpr std::int32_t kLeastBySquare = kOne - 90 * kStep;
constexpr std::int32_t kMostBySquare = kOne + 90 * kStep;

enum class Range { general, tame, plain };

inline Int outside(Int magnitudes, std::int32_t least, std::int32_t most) {
  return at_least_unsigned(magnitudes - least, splat(most - least));
}

// The least and the greatest of many magnitudes, both without looking at signs: words are doubled.
struct Reach {
  Int least = splat(-1), most{};
  void take_twice(Int least_of, Int most_of) {
    least = smaller_unsigned(least, least_of);
    most = larger_unsigned(most, most_of);
  }
  void take(Int v) { take_twice(v + v, v + v); }
  void take_or_zero(Int v) { take_twice(v + v - 1, v + v); }  // zero becomes the largest

  Range range(std::int32_t least_bound) const {
    if (any(at_least_unsigned(most, splat(static_cast<std::int32_t>(2u * kMost))))) return Range::general;
    return any(~at_least_unsigned(least, splat(2 * least_bound - 1))) ? Range::tame : Range::plain;
  }
};

inline Range range_of_root(Int root) { return any(outside(root, kLeastRoot, kMost)) ? Range::general : Range::plain; }

}  // namespace mulfree::MF_TARGET
