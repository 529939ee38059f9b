// What layer norm and its derivatives share: which form of the operations (norm_ranges.hpp) a group of rows allows.
#pragma once
#include "norm_ranges.hpp"
#include "row_groups.hpp"

namespace mulfree::MF_TARGET {

inline Range range_of(const float* x, std::int64_t n, std::int32_t least_bound) {
  Reach reach;
  if (x) walk(n, [&](std::int64_t i, auto span) {
    reach.take(select(span.keep(splat(-1)), span.load(x + i), splat(kOne)));
  });
  return x ? reach.range(least_bound) : Range::plain;
}

// An operand that may be absent; `neutral` then stands for it without changing a bit.
struct Optional {
  const float* data;
  std::int32_t neutral;
  template <class Span>
  Int load(std::int64_t i, Span span) const { return data ? span.load(data + i) : splat(neutral); }
};

}  // namespace mulfree::MF_TARGET
