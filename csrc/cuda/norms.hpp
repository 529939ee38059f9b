// What layer norm and its derivatives share: which form of the operations (norm_ranges.hpp) a row allows.
#pragma once
#include "norm_ranges.hpp"
#include "rows.hpp"

namespace mulfree::MF_TARGET {

inline Range narrower(Range a, Range b) { return a < b ? a : b; }

// The narrowest of the warp's lanes.
inline Range of_warp(Range own) {
  if (any_lane(own == Range::general)) return Range::general;
  return any_lane(own == Range::tame) ? Range::tame : Range::plain;
}

// An operand that may be absent; `neutral` then stands for it without changing a bit.
struct Optional {
  const std::int32_t* data;
  std::int32_t neutral;
  Int operator()(Place at) const { return data ? fetch(data + at.column) : Int(neutral); }

  // Of all lanes.
  Range range(std::int64_t n, std::int32_t least_bound) const {
    Reach reach;
    if (data) Far::each(n, [&](Place at) { reach.take(fetch(data + at.column)); });
    return of_warp(reach.range(least_bound));
  }
};

}  // namespace mulfree::MF_TARGET
