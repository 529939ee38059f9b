// Walking a row vector by vector, and sums in the law's order (docs/spec.md, section 6).
#pragma once
#include <algorithm>
#include <array>
#include <utility>

#include "functions.hpp"
#include "rows.hpp"
#include "threads.hpp"

namespace mulfree::MF_TARGET {

constexpr int kSlots = kSumLanes / kLanes;  // vectors that hold the lanes of a sum

// A whole vector of a row, or its last lanes. `keep` clears the lanes that are not there.
struct Whole {
  template <class T>
  Int load(const T* p) const { return MF_TARGET::load(p); }
  template <class T>
  void store(T* p, Int v) const { MF_TARGET::store(p, v); }
  Int keep(Int v) const { return v; }
};

struct Part {
  Int lanes;
  template <class T>
  Int load(const T* p) const { return load_part(p, lanes); }
  template <class T>
  void store(T* p, Int v) const { store_part(p, lanes, v); }
  Int keep(Int v) const { return v & lanes; }
};

// body(i, span) for each vector of a row of n.
template <class Body>
inline void walk(std::int64_t n, Body&& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, Whole{});
  if (i < n) body(i, Part{first_lanes(n - i)});
}

template <int width, int... lane>
inline Int rotated(Int v, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(v, v, (lane + width) % kLanes...);
}

template <int width, class Combine>
inline Int halved(Int v, Combine& combine) {
  if constexpr (width == 0) return v;
  else return halved<width / 2>(combine(v, rotated<width>(v, std::make_integer_sequence<int, kLanes>{})), combine);
}

// v[0] in every lane, after v[i] has taken v[i + kLanes/2], ... , v[i + 1] in turn.
template <class Combine>
inline Int fold(Int v, Combine&& combine) {
  return splat(halved<kLanes / 2>(v, combine)[0]);
}

// As a type, for compilers that do not inline a function given by name.
struct Adding {
  Int operator()(Int a, Int b) const { return add_floats(a, b); }
};

inline Int largest_lane(Int v) { return fold(v, larger); }

// body(0), ..., body(count - 1) with constants as arguments, so that arrays they index can live in registers.
template <class Body, int... i>
inline void each_of(std::integer_sequence<int, i...>, Body&& body) {
  (body(std::integral_constant<int, i>{}), ...);
}

template <int count, class Body>
inline void each(Body&& body) {
  each_of(std::make_integer_sequence<int, count>{}, body);
}

template <int count>
using Terms = std::array<Int, count>;

// The lanes of one chunk, for `count` sums at once.
template <int count>
struct Lanes {
  Int lanes[count][kSlots];

  // Vector by vector: compilers clear a whole array with slower instructions.
  Lanes() {
    each<count>([&](auto k) { each<kSlots>([&](auto slot) { lanes[k][slot] = Int{}; }); });
  }

  template <class Slot, class Span>
  void take(Slot slot, Span span, const Terms<count>& terms) {
    each<count>([&](auto k) { lanes[k][slot] = add_floats(lanes[k][slot], span.keep(terms[k])); });
  }

  template <int width = kSlots / 2, class K>
  Int fold_slots(K k) {
    each<width>([&](auto i) { lanes[k][i] = add_floats(lanes[k][i], lanes[k][i + width]); });
    if constexpr (width > 1) return fold_slots<width / 2>(k);
    return lanes[k][0];
  }
};

inline Int close_total(Int total) { return canonical(select(is_zero(magnitude(total)), Int{}, total)); }

// The sums of one chunk, whose lanes are still to be folded.
template <int count, class Body>
inline Terms<count> sum_chunk(std::int64_t start, std::int64_t stop, Body&& body) {
  Lanes<count> lanes;
  std::int64_t i = start;
  for (; i + kSumLanes <= stop; i += kSumLanes) {
    each<kSlots>([&](auto slot) { lanes.take(slot, Whole{}, body(i + slot * kLanes, Whole{})); });
  }
  each<kSlots>([&](auto slot) {
    if (i >= stop) return;
    Part part{first_lanes(std::min<std::int64_t>(kLanes, stop - i))};
    lanes.take(slot, part, body(i, part));
    i += kLanes;
  });
  Terms<count> sums;
  each<count>([&](auto k) { sums[k] = lanes.fold_slots(k); });
  return sums;
}

// Sums over a row of the terms that body(i, span) returns, in every lane of the results.
template <int count, class Body>
inline Terms<count> sum_row(std::int64_t n, Body&& body) {
  Terms<count> totals{};
  for (std::int64_t start = 0; start < n; start += kSumChunk) {
    const Terms<count> sums = sum_chunk<count>(start, std::min<std::int64_t>(n, start + kSumChunk), body);
    each<count>([&](auto k) { totals[k] = add_floats(totals[k], fold(sums[k], Adding{})); });
  }
  for (Int& total : totals) total = close_total(total);
  return totals;
}

template <class Body>
inline Int sum_row(std::int64_t n, Body&& body) {
  return sum_row<1>(n, [&](std::int64_t i, auto span) { return Terms<1>{body(i, span)}; })[0];
}

// Rows that one thread takes at a time: enough to pay for handing them out.
inline std::int64_t rows_per_task(std::int64_t n) { return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, n)); }

// body(row) for each row, several rows a task.
template <class Body>
inline void for_rows(const RowsShape& shape, Body&& body) {
  const std::int64_t step = rows_per_task(shape.n);
  parallel_for(shape.threads, (shape.rows + step - 1) / step, [&](std::int64_t task) {
    const std::int64_t stop = std::min(shape.rows, (task + 1) * step);
    for (std::int64_t row = task * step; row < stop; ++row) body(row);
  });
}

inline void keep_stats(float* stats, Int shift, Int whole) {
  std::int32_t words[2] = {shift[0], whole[0]};
  std::memcpy(stats, words, sizeof words);
}

inline Int splat_from(const float* source) {
  std::int32_t word;
  std::memcpy(&word, source, sizeof word);
  return splat(word);
}

inline void keep(float* target, Int v) {
  std::int32_t word = v[0];
  std::memcpy(target, &word, sizeof word);
}

}  // namespace mulfree::MF_TARGET
