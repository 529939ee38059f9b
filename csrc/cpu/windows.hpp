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
// A tile that does not fit takes a general loop (references.hpp, slopes.hpp). Quantities here are magnitudes (words
// without sign) in wide integers.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "law.hpp"
#include "scalar.hpp"

namespace mulfree {

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

inline Span whole(const std::vector<Span>& panels) {
  Span all;
  for (const Span& panel : panels) {
    all.zero |= panel.zero;
    all.special |= panel.special;
    all.low = std::min(all.low, panel.low);
    all.high = std::max(all.high, panel.high);
  }
  return all;
}

// The span that covers all panels but the `cut` lowest and the `cut` highest, so that a stray value does not move the
// window. Panels that stick out of the window take the general loop.
inline Span trimmed(const std::vector<Span>& panels, std::size_t divisor) {
  Span all = whole(panels);
  std::vector<std::int64_t> lows, highs;
  for (const Span& panel : panels) {
    if (panel.empty()) continue;
    lows.push_back(panel.low);
    highs.push_back(panel.high);
  }
  const std::size_t cut = divisor ? lows.size() / divisor : 0;
  if (cut == 0) return all;
  std::nth_element(lows.begin(), lows.begin() + cut, lows.end());
  std::nth_element(highs.begin(), highs.end() - 1 - cut, highs.end());
  all.low = lows[cut];
  all.high = std::max(highs[highs.size() - 1 - cut], all.low);
  return all;
}

// An encoding for panels within the two spans, and whether it serves all of them. `slack` is how far a right word may
// move inside the loop (0 for products; the carries of slopes).
inline bool encode_spans(const Span& left, const Span& right, std::int64_t slack, Encoding* code) {
  if (left.empty() || right.empty()) return true;
  std::int64_t lowest = kSumFloor;
  if (left.zero) lowest = std::max(lowest, right.width() + slack + kTinyGap + kStep);
  if (right.zero) lowest = std::max(lowest, left.width() + slack + kTinyGap + kStep);
  // A zero times a zero wraps around to about 2^31 minus the smallest product.
  if (left.zero && right.zero) lowest = std::max(lowest, (std::int64_t{1} << 30) + (kTinyGap + slack) / 2 + kStep);
  const std::int64_t room = kInf - kHeadroom - slack - (lowest + left.width() + right.width());
  const std::int64_t spare = std::max<std::int64_t>(room, 0);
  code->scale = floor_step(lowest + spare / 2 - (left.low + right.low));
  const std::int64_t lift = spare / 4;
  code->left_zero = static_cast<std::int32_t>(floor_step(lift - right.low) + kStep);
  code->right_zero = static_cast<std::int32_t>(floor_step(lift - left.low - code->scale) + kStep);
  return room >= 0 && left.low + right.low >= kSumFloor;
}

// The encoding of a chunk with zeros: it gives up as few panels as will do, at most half.
inline Encoding choose_encoding(const std::vector<Span>& left, const std::vector<Span>& right, std::int64_t slack) {
  Encoding code;
  for (const std::size_t divisor : {0, 32, 8, 4, 2})
    if (encode_spans(trimmed(left, divisor), trimmed(right, divisor), slack, &code)) break;
  return code;
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
    for (const std::int64_t sum : {both - slack, both + slack})
      if ((sum & kMagnitude) > tiny) return Loop::general;
    if (((both - slack) ^ (both + slack)) >> 31) return Loop::general;
  }
  return Loop::fast;
}

// Right magnitudes that the general loop of products takes for ordinary.
struct Limits {
  std::int64_t low = kMin, high = kInf - 1;
};

// How many numbers of a sample have an exponent field below each; zeros and special numbers do not count.
class Exponents {
 public:
  explicit Exponents(const std::vector<std::int32_t>& sample) {
    for (const std::int32_t word : sample)
      if (const std::int32_t e = (word & kMagnitude) >> 23; e > 0 && e < 255) ++below_[e + 1];
    for (int e = 0; e < 256; ++e) below_[e + 1] += below_[e];
  }

  std::int64_t total() const { return below_[256]; }
  std::int64_t below(std::int64_t e) const { return below_[std::clamp<std::int64_t>(e, 0, 256)]; }
  std::int64_t from(std::int64_t e) const { return total() - below(e); }

 private:
  std::int64_t below_[257] = {};
};

// The limits with the fewest exceptions, by samples of left words and of the least and greatest words of right rows.
// Wider limits make more left words exceptions, those that may leave the format with a right word at the limit;
// narrower ones more right rows, those with a word beyond it. `bias` turns the sum of two magnitudes into that of
// their product.
inline Limits choose_limits(const Exponents& lefts, const Exponents& leasts, const Exponents& greatests,
                            std::int64_t bias) {
  Limits limits;
  std::int64_t fewest_low = INT64_MAX, fewest_high = INT64_MAX;
  for (std::int64_t e = 1; e < 255; ++e) {  // from the widest limits inwards
    const std::int64_t low = e * kStep, high = kInf - low + kStep - 1;
    const std::int64_t least = (kMin - bias - low + kStep - 1) >> 23, most = (kInf - bias - high) >> 23;
    const std::int64_t cost_low = lefts.below(least) * leasts.total() + leasts.below(e) * lefts.total();
    const std::int64_t cost_high = lefts.from(most) * greatests.total() + greatests.from(256 - e) * lefts.total();
    if (cost_low < fewest_low) fewest_low = cost_low, limits.low = low;
    if (cost_high < fewest_high) fewest_high = cost_high, limits.high = high;
  }
  limits.high = std::max(limits.high, limits.low);
  return limits;
}

}  // namespace mulfree
