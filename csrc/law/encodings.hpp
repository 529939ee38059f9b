// Which products can use the two-instruction loop: one integer addition, one float addition.
//
// That loop adds words and never looks at them. It is exact if every product of a tile is a normal float and if the
// operands that are zero are encoded so that their "products" cannot be told from zero:
//
//   - A zero is stored as a word whose sum with every word of the other panel is tiny (or denormal, which the
//     float adder takes for zero). Let lo be the smallest magnitude of a product of non-zeros. Every true partial sum
//     is zero or at least 2^(E(lo)-23). A term below 2^(E(lo)-48) leaves such a sum unchanged, since it is less
//     than half the distance to its neighbours; and if the true sum is zero, up to 256 of them stay below
//     2^(E(lo)-25), which the next true product absorbs by the same argument. What is left below 2^(E(lo)-23) at the
//     end of a chunk is therefore a true zero.
//   - To make room below lo, all products of a chunk are scaled by a power of two (added to the left words) and the
//     chunk sum is scaled back. Scaling commutes with rounding while nothing leaves the normal range.
//
// A tile that does not fit takes a general loop. Quantities here are magnitudes (words
// without sign) in wide integers.
#pragma once
#include <cstdint>

#include "law.hpp"
#include "scalar.hpp"

namespace mulfree {

inline std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline std::int64_t most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// Non-zero magnitudes of one panel, as they enter the sum.
struct Span {
  std::int64_t low = INT64_MAX, high = INT64_MIN;
  bool zero = false;     // the panel holds zeros
  bool special = false;  // it holds infinities or NaNs

  bool empty() const { return low > high; }
  std::int64_t width() const { return empty() ? 0 : high - low; }
};

struct Encoding {
  std::int64_t scale = 0;      // whole steps, added to every left word
  std::int32_t left_zero = 0;  // words that stand for zero
  std::int32_t right_zero = 0;
};

enum class Loop { empty, fast, general };

constexpr std::int64_t kTinyGap = 50 * std::int64_t{kStep};   // between a zero's product and lo
constexpr std::int64_t kHeadroom = 9 * std::int64_t{kStep};   // for the sum of a chunk
constexpr std::int64_t kSumFloor = 24 * std::int64_t{kStep};  // products from here up have no denormal sums

// An encoding for panels within the two spans, and whether it serves all of them. `slack` is how far a right word may
// move inside the loop (0 for products; the carries of slopes).
inline bool encode_spans(const Span& left, const Span& right, std::int64_t slack, Encoding* code) {
  if (left.empty() || right.empty()) return true;
  std::int64_t lowest = kSumFloor;
  if (left.zero) lowest = most(lowest, right.width() + slack + kTinyGap + kStep);
  if (right.zero) lowest = most(lowest, left.width() + slack + kTinyGap + kStep);
  // A zero times a zero wraps around to about 2^31 minus the smallest product.
  if (left.zero && right.zero) lowest = most(lowest, (std::int64_t{1} << 30) + (kTinyGap + slack) / 2 + kStep);
  const std::int64_t room = kInf - kHeadroom - slack - (lowest + left.width() + right.width());
  const std::int64_t spare = most(room, 0);
  code->scale = floor_step(lowest + spare / 2 - (left.low + right.low));
  const std::int64_t lift = spare / 4;
  code->left_zero = static_cast<std::int32_t>(floor_step(lift - right.low) + kStep);
  code->right_zero = static_cast<std::int32_t>(floor_step(lift - left.low - code->scale) + kStep);
  return room >= 0 && left.low + right.low >= kSumFloor;
}

// The loop for two panels.
inline Loop choose_loop(const Span& left, const Span& right, const Encoding& code, std::int64_t slack) {
  if (left.special || right.special) return Loop::general;
  if (left.empty() || right.empty()) return Loop::empty;
  const std::int64_t low = left.low + right.low, high = left.high + right.high + slack;
  const bool plain = !left.zero && !right.zero && code.scale == 0;
  if (plain) return low >= kMin && high < kInf ? Loop::fast : Loop::general;

  const std::int64_t scaled = low + code.scale, tiny = scaled - kTinyGap;
  if (low < kSumFloor || scaled < kSumFloor) return Loop::general;
  if (high + kHeadroom > kInf || high + code.scale + kHeadroom > kInf) return Loop::general;
  if (left.zero && (code.left_zero + right.low < 0 || code.left_zero + right.high + slack > tiny))
    return Loop::general;
  if (right.zero && (left.low + code.scale + code.right_zero < slack ||
                     left.high + code.scale + code.right_zero + slack > tiny))
    return Loop::general;
  if (left.zero && right.zero) {
    // the sum of both codes, in either direction of the slack, as a magnitude modulo 2^31
    const std::int64_t both = std::int64_t{code.left_zero} + code.right_zero;
    if (((both - slack) & kMagnitude) > tiny || ((both + slack) & kMagnitude) > tiny) return Loop::general;
    if (((both - slack) ^ (both + slack)) >> 31) return Loop::general;
  }
  return Loop::fast;
}

}  // namespace mulfree
