// Sums in the law's order (docs/spec.md, section 6): 32 lanes, the threads of a warp.
#pragma once
#include "functions.hpp"

namespace mulfree::MF_TARGET {

static_assert(kSumLanes == kWarp);

inline int lane_number() { return static_cast<int>(threadIdx.x % kWarp); }

// The value of lane 0 after lane i has taken lane i + 16, ..., i + 1 in turn, in every lane.
inline Int fold_lanes(Int v) {
  MF_UNROLL
  for (int width = kWarp / 2; width > 0; width /= 2) v = add_floats(v, Int(__shfl_down_sync(kAllLanes, v.v, width)));
  return Int(__shfl_sync(kAllLanes, v.v, 0));
}

// The sum of term(start), ..., term(stop - 1), one chunk of the law, in every lane. All lanes of the warp call it.
template <class Term>
inline Int chunk_sum(std::int64_t start, std::int64_t stop, Term&& term) {
  Int sum;
  for (std::int64_t i = start + lane_number(); i < stop; i += kWarp) sum = add_floats(sum, term(i));
  return fold_lanes(sum);
}

inline Int close_total(Int total) { return canonical(select(is_zero(magnitude(total)), Int{}, total)); }

// The sum of term(0), ..., term(n - 1), in every lane.
template <class Term>
inline Int row_sum(std::int64_t n, Term&& term) {
  Int total;
  for (std::int64_t start = 0; start < n; start += kSumChunk) {
    const std::int64_t stop = start + kSumChunk < n ? start + kSumChunk : n;
    total = add_floats(total, chunk_sum(start, stop, term));
  }
  return close_total(total);
}

}  // namespace mulfree::MF_TARGET
