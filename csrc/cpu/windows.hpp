// Which encoding serves the panels of a chunk best (encodings.hpp), and the limits of the general loops (references.hpp,
// slopes.hpp).
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "encodings.hpp"

namespace mulfree {

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

// The encoding of a chunk with zeros: it gives up as few panels as will do, at most half.
inline Encoding choose_encoding(const std::vector<Span>& left, const std::vector<Span>& right, std::int64_t slack) {
  Encoding code;
  for (const std::size_t divisor : {0, 32, 8, 4, 2})
    if (encode_spans(trimmed(left, divisor), trimmed(right, divisor), slack, &code)) break;
  return code;
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
