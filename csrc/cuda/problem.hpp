// A product as its kernels see it: result[b, row, column] = sum over k of left[b, row, k] * right[b, column, k], or of
// the exact derivatives of point[b, row, column] * right[b, column, k] by point, times left. Compile-time settings:
//
//   MF_FORMAT                    of the operands (sources.hpp)
//   MF_LEFT_PATCHES, MF_RIGHT_PATCHES   0: the operand is a matrix
//   MF_OUT_PATCHES              likewise for the result and the point
//   MF_OUT_FLAT                 1: neighbouring columns of the result are neighbours in memory
//   MF_LEFT_DEEP, MF_RIGHT_DEEP  1: its neighbouring entries in memory are neighbours in depth
//   MF_SLOPES                    1: exact derivatives
//   MF_THREAD_ROWS, MF_THREAD_COLUMNS   threads of a block; MF_ROWS, MF_COLUMNS: entries of a thread
//   MF_SPLIT                     1: each chunk of the depth goes to a block of its own, its sums to a workspace
#pragma once
#include "arithmetic.hpp"
#include "encodings.hpp"
#include "sources.hpp"

namespace mulfree::MF_TARGET {

constexpr int kThreadRows = MF_THREAD_ROWS, kThreadColumns = MF_THREAD_COLUMNS;
constexpr int kRows = MF_ROWS, kColumns = MF_COLUMNS;  // of a thread
constexpr int kThreads = kThreadRows * kThreadColumns;
constexpr int kTileRows = kThreadRows * kRows, kTileColumns = kThreadColumns * kColumns;
constexpr bool kSlopes = MF_SLOPES, kSplit = MF_SPLIT, kFlat = MF_OUT_FLAT || MF_SPLIT;

enum Operand { kLeft, kRight, kPoint, kOut, kBias, kOperands };

struct Problem {
  Source left, right, point;
  float* out;
  Walk out_rows, out_columns;
  const float* bias;  // null: none
  std::int64_t bias_strides[2];  // by row and column
  std::int64_t rows, columns, depth, batches;
  Divider batch_sizes[kAxes];  // the last one first
  std::int64_t batch_strides[kOperands][kAxes + 1];
  std::int64_t drop, offset;
  Divider panels;              // of the left operand; those of the right one follow
  std::int64_t column_panels;
  std::int32_t* spans;         // batch x panel x chunk x 4 words
  float* workspace;            // chunk x row x column of sums, if split
};

// Where an index of the result or of the point leads.
inline std::int64_t offset_of(const Walk& walk, std::int64_t index) {
  if constexpr (MF_OUT_PATCHES) return walk.place(index).offset;
  else return index * walk.strides[0];
}

// An empty depth is one empty chunk.
inline std::int64_t chunks_of(const Problem& problem) { return most((problem.depth + kDotChunk - 1) / kDotChunk, 1); }

inline std::int64_t batch_start(const Problem& problem, std::int64_t batch, Operand operand) {
  std::int64_t start = 0;
  for (int d = 0; d < kAxes; ++d) start += problem.batch_sizes[d].divide(&batch) * problem.batch_strides[operand][d];
  return start + batch * problem.batch_strides[operand][kAxes];
}

// Least and greatest magnitude of the numbers of a panel in a chunk; whether there are zeros, and special numbers.
struct Survey {
  std::int32_t low = INT32_MAX, high = -1, zero = 0, special = 0;

  void take(std::int32_t word) {
    const std::int32_t size = word & kMagnitude;
    if (word == kMissing || size < kMin) zero = 1;
    else if (size >= kInf) special = 1;
    else low = size < low ? size : low, high = size > high ? size : high;
  }

  Span span() const {
    Span found;
    if (low <= high) found.low = low, found.high = high;
    found.zero = zero;
    found.special = special;
    return found;
  }
};

}  // namespace mulfree::MF_TARGET
