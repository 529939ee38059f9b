// Sums of the rows of a tensor in the law's order (docs/spec.md, section 6), and the passes over rows that batch norm
// is made of. A row is what a contiguous tensor (outer, before, kept, after) holds at one place of (outer, kept); its
// terms are in the order (before, after). Rows are cut into the law's chunks. The sums of chunks, laid out as
// (rows, chunks), become totals in a second kernel, in ascending order.
#pragma once
#include "sums.hpp"

namespace mulfree::MF_TARGET {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr std::int64_t kFar = 1 << 30;
constexpr int kLanesEach = kSumLanes / kWarps;  // of the law, for a thread of a pass by columns

struct Place {
  std::int64_t at;  // in the tensor
  int until;        // the end of the last dimension, or more than the terms of a chunk
};

struct Rows {
  std::int64_t rows, terms;
  Divider chunks, kept, after;
  std::int64_t outer_stride, before_stride;
  std::int64_t group;       // log2 of the lanes that sum a chunk
  std::int64_t step, rest;  // what a thread's next term adds to its place
  std::int64_t carry;       // and where that is beyond the last dimension

  Place place(std::int64_t row, std::int64_t term) const {
    const std::int64_t in_kept = kept.divide(&row), in_after = after.divide(&term);
    return {row * outer_stride + in_kept * after.divisor + term * before_stride + in_after,
            held(after.divisor - in_after)};
  }
  void advance(Place& place) const {
    place.at += step;
    place.until -= static_cast<int>(rest);
    if (place.until > 0) return;
    place.at += carry;
    place.until += held(after.divisor);
  }
  static int held(std::int64_t distance) { return static_cast<int>(distance < kFar ? distance : kFar); }
};

template <int count>
struct Sums {
  Int of[count ? count : 1];
};

// The pass that sums the numbers as they are. A pass has a number of sums, a number of terms that a thread reads
// together, a constructor that takes a row, `read`, and the terms of its sums; `at` is a place in the tensor. What is
// not `present` must not be written.
struct Plain {
  static constexpr int kSums = 1, kAhead = 8;
  template <class Args>
  Plain(const Args& args, std::int64_t) : x(args.x) {}
  Int read(std::int64_t at) const { return x[at]; }
  Sums<1> operator()(Int v, std::int64_t, bool) const { return {{v}}; }
  const std::int32_t* x;
};

template <int count>
inline void add_sums(Sums<count>& to, const Sums<count>& sums) {
  MF_UNROLL
  for (int k = 0; k < count; ++k) to.of[k] = add_floats(to.of[k], sums.of[k]);
}

// The next terms of a thread, of which `left` are there, in turn to its lanes. All are read before the first is added;
// the last one is read again in the place of those that are not there.
template <bool whole, class Pass, int lanes>
inline void add_batch(Sums<Pass::kSums> (&sums)[lanes], const Rows& rows, Place& place, int left, const Pass& pass) {
  static_assert(Pass::kAhead % lanes == 0);
  decltype(pass.read(0)) read[Pass::kAhead];
  std::int64_t at[Pass::kAhead];
  MF_UNROLL
  for (int j = 0; j < Pass::kAhead; ++j) {
    at[j] = place.at;
    read[j] = pass.read(place.at);
    if (whole || j + 1 < left) rows.advance(place);
  }
  MF_UNROLL
  for (int j = 0; j < Pass::kAhead; ++j) {
    const bool present = whole || j < left;
    Sums<Pass::kSums> terms = pass(read[j], at[j], present);
    MF_UNROLL
    for (int k = 0; k < Pass::kSums; ++k) terms.of[k] = present ? terms.of[k] : Int{};
    add_sums(sums[j % lanes], terms);
  }
}

// A thread's `left` terms from `place` on.
template <class Pass, int lanes>
inline void add_terms(Sums<Pass::kSums> (&sums)[lanes], const Rows& rows, Place place, int left, const Pass& pass) {
  MF_ROLLED
  for (; left >= Pass::kAhead; left -= Pass::kAhead) add_batch<true>(sums, rows, place, left, pass);
  if (left > 0) add_batch<false>(sums, rows, place, left, pass);
}

template <class Args>
inline void keep_sum(const Args& args, int which, std::int64_t row, std::int64_t chunk, Int sum) {
  const std::int64_t chunks = args.rows.chunks.divisor;
  args.sums[(which * args.rows.rows + row) * chunks + chunk] = (chunks == 1 ? close_total(sum) : sum).v;
}

// Terms side by side: the lanes of a warp, or of a part of it where rows are short, take the terms of one chunk.
template <class Pass, class Args>
inline void by_lanes(const Args& args) {
  const Rows& rows = args.rows;
  const int group = static_cast<int>(rows.group), lane = lane_number() & ((1 << group) - 1);
  const int rows_of_warp = kWarp >> group;
  const std::int64_t units = rows.rows * rows.chunks.divisor;
  const std::int64_t stride = all_threads() / kWarp * rows_of_warp;
  MF_ROLLED
  for (std::int64_t first = global_thread() / kWarp * rows_of_warp; first < units; first += stride) {
    const std::int64_t unit = first + (lane_number() >> group);
    std::int64_t row = unit < units ? unit : 0;
    const std::int64_t chunk = rows.chunks.divide(&row);
    const std::int64_t left = rows.terms - chunk * kSumChunk;
    const int terms = unit < units ? static_cast<int>(left < kSumChunk ? left : kSumChunk) : 0;
    Sums<Pass::kSums> sums[1] = {};
    add_terms(sums, rows, rows.place(row, chunk * kSumChunk + lane), (terms - lane + (1 << group) - 1) >> group,
              Pass(args, row));
    MF_UNROLL
    for (int k = 0; k < Pass::kSums; ++k) {
      Int sum = sums[0].of[k];
      for (int width = 1 << group >> 1; width > 0; width >>= 1)
        sum = add_floats(sum, Int(__shfl_down_sync(kAllLanes, sum.v, width)));
      if (lane == 0 && unit < units) keep_sum(args, k, row, chunk, sum);
    }
  }
}

// Lane i takes lane i + width, i + width / 2, ..., i + 1 in turn.
template <int width, int count>
inline void fold_words(Int (&lanes)[count]) {
  MF_UNROLL
  for (int lane = 0; lane < width; ++lane) lanes[lane] = add_floats(lanes[lane], lanes[lane + width]);
  if constexpr (width > 1) fold_words<width / 2>(lanes);
}

// What the warps of a block have summed for the lanes' rows, in the first warps: warp k has the k-th sums. A thread's
// law lanes are those kWarps apart from its warp's number on.
template <int count>
inline Int fold_warps(Sums<count> (&sums)[kLanesEach]) {
  MF_SHARED std::int32_t folded[count][kWarps][kWarp];
  const int warp = static_cast<int>(threadIdx.x / kWarp);
  MF_UNROLL
  for (int width = kLanesEach / 2; width > 0; width /= 2) {
    MF_UNROLL
    for (int lane = 0; lane < width; ++lane) add_sums(sums[lane], sums[lane + width]);
  }
  __syncthreads();
  MF_UNROLL
  for (int k = 0; k < count; ++k) folded[k][warp][lane_number()] = sums[0].of[k].v;
  __syncthreads();
  if (warp >= count) return Int{};
  Int lanes[kWarps];
  MF_UNROLL
  for (int lane = 0; lane < kWarps; ++lane) lanes[lane] = folded[warp][lane][lane_number()];
  fold_words<kWarps / 2>(lanes);
  return lanes[0];
}

// Rows side by side: the lanes of a warp take 32 of them, and each of the warps every eighth term.
template <class Pass, class Args>
inline void by_columns(const Args& args) {
  const Rows& rows = args.rows;
  const int warp = static_cast<int>(threadIdx.x / kWarp);
  const std::int64_t units = (rows.rows + kWarp - 1) / kWarp * rows.chunks.divisor;
  MF_ROLLED
  for (std::int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
    std::int64_t row = unit;
    const std::int64_t chunk = rows.chunks.divide(&row);
    row = row * kWarp + lane_number();
    const bool present = row < rows.rows;
    if (!present) row = 0;
    const std::int64_t left = rows.terms - chunk * kSumChunk;
    const int terms = present ? static_cast<int>(left < kSumChunk ? left : kSumChunk) : 0;
    Sums<Pass::kSums> sums[kLanesEach] = {};
    add_terms(sums, rows, rows.place(row, chunk * kSumChunk + warp), (terms - warp + kWarps - 1) / kWarps,
              Pass(args, row));
    if constexpr (Pass::kSums > 0) {
      const Int sum = fold_warps(sums);
      if (warp < Pass::kSums && present) keep_sum(args, warp, row, chunk, sum);
    }
  }
}

// The total of a row's chunks, in every lane; all lanes of the warp call it. Each lane reads kDeep sums ahead.
template <class Args>
inline Int total_of_chunks(const Args& args, int which, std::int64_t row) {
  constexpr int kDeep = 4;
  const std::int64_t chunks = args.rows.chunks.divisor;
  const std::int32_t* const sums = args.sums + (which * args.rows.rows + row) * chunks;
  // +0 where there is none: it changes no total
  const auto read = [&](std::int64_t i) { return i < chunks ? Int(sums[i]) : Int{}; };
  Int total, ahead[kDeep];
  MF_UNROLL
  for (int j = 0; j < kDeep; ++j) ahead[j] = read(j * kWarp + lane_number());
  MF_ROLLED
  for (std::int64_t start = 0; start < chunks; start += kWarp) {
    const Int present = ahead[0];
    MF_UNROLL
    for (int j = 0; j < kDeep - 1; ++j) ahead[j] = ahead[j + 1];
    ahead[kDeep - 1] = read(start + kDeep * kWarp + lane_number());
    MF_UNROLL
    for (int lane = 0; lane < kWarp; ++lane) total = add_floats(total, Int(__shfl_sync(kAllLanes, present.v, lane)));
  }
  return close_total(total);
}

// body(row) for each row, a warp each.
template <class Args, class Body>
inline void for_rows(const Args& args, Body&& body) {
  MF_ROLLED
  for (std::int64_t row = global_thread() / kWarp; row < args.rows.rows; row += all_threads() / kWarp) body(row);
}

}  // namespace mulfree::MF_TARGET
