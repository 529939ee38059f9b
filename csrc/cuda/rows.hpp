// Rows of a matrix, a warp each. Lane l of the warp has the numbers l, l + 32, ... of its row: those that lane l of the
// law's sums takes.
#pragma once
#include "sums.hpp"

namespace mulfree::MF_TARGET {

constexpr int kRowThreads = 128;

// Where a lane is in its row; `slot` counts the lane's numbers.
struct Place {
  std::int64_t column;
  int slot;
};

// Numbers that are summed side by side.
template <int count>
struct Terms {
  Int each[count];

  void add(const Terms& terms) {
    MF_UNROLL
    for (int k = 0; k < count; ++k) each[k] = add_floats(each[k], terms.each[k]);
  }
  void fold() {
    MF_UNROLL
    for (Int& v : each) v = fold_lanes(v);
  }
  void close() {
    MF_UNROLL
    for (Int& v : each) v = close_total(v);
  }
};

// From memory that the kernel does not write, so that loads may overtake stores.
inline Int fetch(const std::int32_t* from) { return Int(__ldg(from)); }

// Walks rows of at most 32 * slots numbers. Loops are unrolled, and values of the row are kept in registers.
template <int slots>
struct Walk {
  static_assert(slots * kWarp <= kSumChunk);

  struct Kept {
    Int words[slots];
    Int operator()(Place at) const { return words[at.slot]; }
    void set(Place at, Int v) { words[at.slot] = v; }
  };

  template <class Body>
  static void each(std::int64_t n, Body&& body) {
    const int lane = lane_number(), rest = static_cast<int>(n) - lane;
    MF_UNROLL
    for (int slot = 0; slot < slots; ++slot)
      if (slot * kWarp < rest) body(Place{lane + slot * kWarp, slot});
  }

  // A function of the place that returns what `f` does.
  template <class F>
  static Kept values(std::int64_t n, F f) {
    Kept kept;
    each(n, [&](Place at) { kept.set(at, f(at)); });
    return kept;
  }

  // Room for a number at each place; `memory`, a row, is not needed.
  static Kept room(std::int32_t*) { return {}; }

  // Sums of the terms at each place, in every lane.
  template <int count, class Term>
  static Terms<count> sums(std::int64_t n, Term&& term) {
    Terms<count> total;
    each(n, [&](Place at) { total.add(term(at)); });
    total.fold();
    total.close();
    return total;
  }

  template <class Term>
  static Int sum(std::int64_t n, Term&& term) {
    return sums<1>(n, [&](Place at) { return Terms<1>{{term(at)}}; }).each[0];
  }
};

// Walks rows of any length, which are read each time.
template <>
struct Walk<0> {
  struct Row {
    std::int32_t* words;
    Int operator()(Place at) const { return Int(words[at.column]); }
    void set(Place at, Int v) { words[at.column] = v.v; }
  };

  template <class Body>
  static void each(std::int64_t n, Body&& body) {
    for (std::int64_t column = lane_number(); column < n; column += kWarp) body(Place{column, 0});
  }

  template <class F>
  static F values(std::int64_t, F f) { return f; }

  static Row room(std::int32_t* memory) { return {memory}; }

  template <int count, class Term>
  static Terms<count> sums(std::int64_t n, Term&& term) {
    Terms<count> total;
    for (std::int64_t start = 0; start < n; start += kSumChunk) {
      const std::int64_t stop = start + kSumChunk < n ? start + kSumChunk : n;
      Terms<count> lane;
      for (std::int64_t column = start + lane_number(); column < stop; column += kWarp)
        lane.add(term(Place{column, 0}));
      lane.fold();
      total.add(lane);
    }
    total.close();
    return total;
  }

  template <class Term>
  static Int sum(std::int64_t n, Term&& term) {
    return sums<1>(n, [&](Place at) { return Terms<1>{{term(at)}}; }).each[0];
  }
};

using Near = Walk<MF_SLOTS>;  // for rows that the program is for
using Far = Walk<0>;

// The row in memory, as a function of the place.
template <class W>
inline auto read(const std::int32_t* row, std::int64_t n) {
  return W::values(n, [row](Place at) { return fetch(row + at.column); });
}

// body(row) for each row that this warp takes.
template <class Body>
inline void for_rows(std::int64_t rows, Body&& body) {
  for (std::int64_t row = global_thread() / kWarp; row < rows; row += all_threads() / kWarp) body(row);
}

inline bool any_lane(bool value) { return __any_sync(kAllLanes, value); }

// Two numbers of a row.
inline void keep_stats(std::int32_t* stats, std::int64_t row, Int first, Int second) {
  const int lane = lane_number();
  if (lane < 2) stats[2 * row + lane] = (lane == 0 ? first : second).v;
}

inline void keep(std::int32_t* target, Int v) {
  if (lane_number() == 0) *target = v.v;
}

}  // namespace mulfree::MF_TARGET
