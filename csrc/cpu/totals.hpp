// From the sums of a chunk to the totals in the output.
#pragma once
#include "simd.hpp"
#include "tiles.hpp"

namespace mulfree::MF_TARGET {

// Where a tile's sums go.
struct Destination {
  float* out;
  const float* bias;  // of the tile's first column, or null
  std::int64_t stride;
  int rows, columns;
  bool first, last;  // chunk of the depth
};

// What was done to the words of a chunk, to be undone with its sums: the magnitude below which a sum is a true zero,
// and the scale; both 0 where nothing was.
struct Undo {
  std::int32_t floor = 0, scale = 0;
};

inline Int undone(Int sum, const Undo& undo) {
  return (sum & splat(kMagnitude)) < splat(undo.floor) ? Int{} : sum - splat(undo.scale);
}

// The new total of one vector of outputs: `sum` of the chunk added to `target`, then `addend` if there is one.
inline Int total_of(Int sum, const Undo& undo, const float* target, const float* addend, bool first, bool last) {
  if (undo.floor) sum = undone(sum, undo);
  Float total = as_float(sum);
  if (!first) total += as_float(load(target));
  total += Float{};  // a zero total is +0
  if (last && addend) total += as_float(load(addend));
  if (last) total = total == total ? total : as_float(splat(kNan));
  return as_int(total);
}

template <bool First, bool Last>
inline void add_to_totals(const std::int32_t* tile, const Destination& to, const Undo& undo) {
  const int whole = to.columns / kLanes * kLanes, rest = to.columns - whole;
  for (int i = 0; i < to.rows; ++i, tile += kTileColumns) {
    float* row = to.out + i * to.stride;
    for (int v = 0; v < whole; v += kLanes)
      store(row + v, total_of(load(tile + v), undo, row + v, to.bias ? to.bias + v : nullptr, First, Last));
    if (!rest) continue;
    alignas(64) float part[kLanes] = {}, part_bias[kLanes] = {};
    std::memcpy(part, row + whole, rest * 4);
    if (to.bias) std::memcpy(part_bias, to.bias + whole, rest * 4);
    store(part, total_of(load(tile + whole), undo, part, to.bias ? part_bias : nullptr, First, Last));
    std::memcpy(row + whole, part, rest * 4);
  }
}

// Adds the sums of a chunk to the totals, in the law's order.
inline void add_to_totals(const std::int32_t* tile, const Destination& to, const Undo& undo) {
  if (to.first) return (to.last ? add_to_totals<true, true> : add_to_totals<true, false>)(tile, to, undo);
  return (to.last ? add_to_totals<false, true> : add_to_totals<false, false>)(tile, to, undo);
}

inline void prefetch(const Destination& to) {
  for (int i = 0; i < to.rows; ++i)
    for (int v = 0; v < to.columns; v += 16) __builtin_prefetch(to.out + i * to.stride + v, 1);
}

}  // namespace mulfree::MF_TARGET
