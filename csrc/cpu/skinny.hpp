// Products of a few rows with a row-major float32 matrix, read where it lies: packing it would cost more than the
// products. Each product is masked by one comparison that covers zeros, denormals and underflow; where an operand is
// not finite or a product may overflow the caller starts again with packed panels.
#pragma once
#include <atomic>
#include <vector>

#include "matmul.hpp"
#include "scalar.hpp"
#include "simd.hpp"
#include "threads.hpp"
#include "totals.hpp"

namespace mulfree::MF_TARGET {

constexpr int kSkinnyRows = 8;      // up to here
constexpr int kSkinnyRowsAtOnce = 4;
constexpr int kSkinnySums = 8;      // vectors in registers

inline bool is_skinny(const MatmulProblem& problem, const Matrix& right) {
  return problem.rows <= kSkinnyRows && problem.format == Format::float32 && problem.mantissa_bits == 23 &&
         right.column_stride == 1 && std::abs(std::int64_t{problem.offset}) <= kLargestOffset;
}

// Left words of one chunk.
struct SkinnyLeft {
  std::int32_t addend[kDotChunk][kSkinnyRowsAtOnce];  // what turns a right word into the product
  std::int32_t below[kDotChunk][kSkinnyRowsAtOnce];   // right magnitudes up to here give zero
  std::int32_t highest = INT32_MIN;                   // of the addends, as magnitudes
  bool special = false;
};

inline void load_skinny(const MatmulProblem& problem, const Matrix& left, std::int64_t row, int rows, std::int64_t k,
                        int depth, SkinnyLeft* out) {
  const auto* words = static_cast<const std::int32_t*>(left.data);
  for (int d = 0; d < depth; ++d)
    for (int r = 0; r < rows; ++r) {
      const std::int32_t word = words[(row + r) * left.row_stride + (k + d) * left.column_stride];
      const std::int32_t magnitude = word & kMagnitude, addend = magnitude - kOne + problem.offset;
      const bool zero = magnitude < kMin;
      out->special |= magnitude >= kInf;
      out->addend[d][r] = addend + (word & kSign);
      out->below[d][r] = zero ? INT32_MAX : std::max(kMin, kMin - addend) - 1;
      if (!zero) out->highest = std::max(out->highest, addend);
    }
}

// Sums of one chunk for Rows x Vectors outputs. False if a product may leave the format.
template <int Rows, int Vectors>
bool skinny_tile(int depth, const SkinnyLeft& left, const std::int32_t* right, std::int64_t stride,
                 Int (&sums_out)[Rows][Vectors]) {
  Float sums[Rows][Vectors];
  Int top = Int{};
  for (auto& row : sums)
    for (Float& sum : row) sum = Float{};
  for (int k = 0; k < depth; ++k, right += stride) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      const Int word = load(right + v * kLanes), magnitude = word & splat(kMagnitude);
      top = magnitude > top ? magnitude : top;
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r)
        sums[r][v] += as_float((word + splat(left.addend[k][r])) & (magnitude > splat(left.below[k][r])));
    }
  }
  std::int32_t highest = 0;
  for (int lane = 0; lane < kLanes; ++lane) highest = std::max<std::int32_t>(highest, top[lane]);
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) sums_out[r][v] = as_int(sums[r][v]);
  return highest < kInf && std::int64_t{highest} + left.highest < kInf;
}

template <int Rows, int Vectors>
bool skinny_columns(const MatmulProblem& problem, const SkinnyLeft* chunks, const std::int32_t* right,
                    std::int64_t stride, float* out, const float* bias) {
  for (std::int64_t k = 0; k < problem.depth; k += kDotChunk, ++chunks) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kDotChunk, problem.depth - k));
    Int sums[Rows][Vectors];
    if (!skinny_tile<Rows, Vectors>(depth, *chunks, right + k * stride, stride, sums)) return false;
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < Vectors; ++v) {
        float* target = out + r * problem.columns + v * kLanes;
        const float* addend = bias ? bias + v * kLanes : nullptr;
        store(target, total_of(sums[r][v], {}, target, addend, k == 0, k + depth == problem.depth));
      }
  }
  return true;
}

// The last columns, fewer than a vector, through padded copies.
template <int Rows>
bool skinny_rest(const MatmulProblem& problem, const SkinnyLeft* chunks, const std::int32_t* right,
                 std::int64_t stride, float* out, const float* bias, int rest) {
  alignas(64) std::int32_t padded[kDotChunk][kLanes] = {};
  alignas(64) float totals[Rows][kLanes] = {}, addend[kLanes] = {};
  if (bias) std::memcpy(addend, bias, rest * 4);
  for (std::int64_t k = 0; k < problem.depth; k += kDotChunk, ++chunks) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kDotChunk, problem.depth - k));
    for (int d = 0; d < depth; ++d) std::memcpy(padded[d], right + (k + d) * stride, rest * 4);
    Int sums[Rows][1];
    if (!skinny_tile<Rows, 1>(depth, *chunks, padded[0], kLanes, sums)) return false;
    for (int r = 0; r < Rows; ++r)
      store(totals[r], total_of(sums[r][0], {}, totals[r], bias ? addend : nullptr, k == 0,
                                k + depth == problem.depth));
  }
  for (int r = 0; r < Rows; ++r) std::memcpy(out + r * problem.columns, totals[r], rest * 4);
  return true;
}

template <int Rows>
bool skinny_rows(const MatmulProblem& problem, const Matrix& left, const Matrix& right, std::int64_t row, float* out,
                 int threads) {
  constexpr int kVectors = kSkinnySums / Rows;
  constexpr std::int64_t kColumns = kVectors * kLanes;
  const std::int64_t count = (problem.depth + kDotChunk - 1) / kDotChunk;
  std::vector<SkinnyLeft> chunks(count);
  for (std::int64_t c = 0; c < count; ++c) {
    const std::int64_t k = c * kDotChunk;
    load_skinny(problem, left, row, Rows, k, static_cast<int>(std::min<std::int64_t>(kDotChunk, problem.depth - k)),
                &chunks[c]);
    if (chunks[c].special) return false;
  }
  const auto* words = static_cast<const std::int32_t*>(right.data);
  float* rows = out + row * problem.columns;
  std::atomic<bool> exact{true};
  const std::int64_t blocks = (problem.columns + kColumns - 1) / kColumns;
  parallel_for(threads, blocks, [&](std::int64_t block) {
    std::int64_t column = block * kColumns;
    const auto bias = [&] { return problem.bias ? problem.bias + column : nullptr; };
    const auto run = [&](auto&& columns, auto... rest) {
      if (!columns(problem, chunks.data(), words + column, right.row_stride, rows + column, bias(), rest...))
        exact = false;
    };
    if (column + kColumns <= problem.columns) return run(skinny_columns<Rows, kVectors>);
    for (; column + kLanes <= problem.columns; column += kLanes) run(skinny_columns<Rows, 1>);
    if (column < problem.columns) run(skinny_rest<Rows>, static_cast<int>(problem.columns - column));
  });
  return exact;
}

// The whole product, or false where it takes the general way.
inline bool skinny_product(const MatmulProblem& problem, const Matrix& left, const Matrix& right, float* out,
                           int threads) {
  std::int64_t row = 0;
  for (; row + 4 <= problem.rows; row += 4)
    if (!skinny_rows<4>(problem, left, right, row, out, threads)) return false;
  for (; row + 2 <= problem.rows; row += 2)
    if (!skinny_rows<2>(problem, left, right, row, out, threads)) return false;
  return row == problem.rows || skinny_rows<1>(problem, left, right, row, out, threads);
}

}  // namespace mulfree::MF_TARGET
