// Groups of rows that are worked on together: what is one number a row lies side by side in a vector, so that every
// step with such numbers is taken for all rows at once. Narrow rows come many to a group, wide ones alone.
#pragma once
#include "row_tools.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int64_t kGroupElements = 2048;  // few enough to stay in the nearest cache from pass to pass

// Rows in a group: a power of two, at most one a lane.
inline int rows_together(std::int64_t n) {
  int rows = kLanes;
  while (rows > 1 && rows * n > kGroupElements) rows /= 2;
  return rows;
}

// One number for each row of a group; the lanes without a row repeat the first row's.
struct RowNumbers {
  explicit RowNumbers(Int v) { store(words, v); }
  // What place(row) points to.
  template <class Place>
  RowNumbers(int rows, Place&& place) {
    for (int row = 0; row < kLanes; ++row) std::memcpy(words + row, place(row < rows ? row : 0), 4);
  }
  Int all() const { return load(words); }
  Int operator[](int row) const { return splat(words[row]); }

  std::int32_t words[kLanes];
};

inline void keep_stats(float* stats, const RowNumbers& first, const RowNumbers& second, int rows) {
  for (int row = 0; row < rows; ++row) {
    std::memcpy(stats + 2 * row, first.words + row, 4);
    std::memcpy(stats + 2 * row + 1, second.words + row, 4);
  }
}

// From blocks of 2 * width lanes of a and b the halves that start at `from`: a's, then b's.
template <int width, int from, int... lane>
inline Int halves(Int a, Int b, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(a, b, (lane + from + (lane & width ? kLanes - width : 0))...);
}

// Lane r of the result is what fold() makes of rows[r]; `rows` is used up.
template <int width = kLanes / 2, class Combine>
inline Int fold_rows(Int* rows, Combine&& combine) {
  constexpr auto lanes = std::make_integer_sequence<int, kLanes>{};
  each<width>([&](auto r) {
    const Int a = rows[r], b = rows[r + width];
    rows[r] = combine(halves<width, 0>(a, b, lanes), halves<width, width>(a, b, lanes));
  });
  if constexpr (width > 1) return fold_rows<width / 2>(rows, combine);
  return rows[0];
}

inline void repeat_first(Int* vectors, int rows) {
  for (int row = rows; row < kLanes; ++row) vectors[row] = vectors[0];
}

// Sums over each row of a group: prepare(row) returns the body(i, span) whose terms are added (see sum_row).
template <int count, class Prepare>
inline Terms<count> sum_rows(int rows, std::int64_t n, Prepare&& prepare) {
  Terms<count> totals{};
  for (std::int64_t start = 0; start < n; start += kSumChunk) {
    const std::int64_t stop = std::min<std::int64_t>(n, start + kSumChunk);
    Int vectors[count][kLanes];
    for (int row = 0; row < rows; ++row) {
      const auto lanes = sum_chunk<count>(start, stop, prepare(row));
      each<count>([&](auto k) { vectors[k][row] = lanes[k]; });
    }
    each<count>([&](auto k) {
      repeat_first(vectors[k], rows);
      totals[k] = add_floats(totals[k], fold_rows(vectors[k], Adding{}));
    });
  }
  for (Int& total : totals) total = close_total(total);
  return totals;
}

template <class Prepare>
inline Int sum_rows(int rows, std::int64_t n, Prepare&& prepare) {
  return sum_rows<1>(rows, n, [&](int row) {
    return [body = prepare(row)](std::int64_t i, auto span) { return Terms<1>{body(i, span)}; };
  })[0];
}

// body(first row, rows) for each group, several groups a task.
template <class Body>
inline void for_groups(const RowsShape& shape, Body&& body) {
  const std::int64_t together = rows_together(shape.n);
  const std::int64_t step = (rows_per_task(shape.n) + together - 1) / together * together;
  parallel_for(shape.threads, (shape.rows + step - 1) / step, [&](std::int64_t task) {
    const std::int64_t stop = std::min(shape.rows, (task + 1) * step);
    for (std::int64_t row = task * step; row < stop; row += together)
      body(row, static_cast<int>(std::min(together, stop - row)));
  });
}

}  // namespace mulfree::MF_TARGET
