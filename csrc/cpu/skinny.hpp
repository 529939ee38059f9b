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
constexpr int kSkinnySums = 2048;   // of a job, kept in the first-level cache
constexpr int kSkinnyDepth = 8;     // right rows read side by side

inline bool is_skinny(const MatmulProblem& problem, const Matrix& right) {
  return problem.rows <= kSkinnyRows && problem.format == Format::float32 && problem.mantissa_bits == 23 &&
         right.column_stride == 1;
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

// Adds one chunk to the sums of Rows x `vectors` outputs, a few rows of the right matrix at a time so that memory is
// read in order. False if a product may leave the format.
template <int Rows>
bool skinny_sums(int depth, const SkinnyLeft& left, const std::int32_t* right, std::int64_t stride, int vectors,
                 std::int32_t (*sums)[kSkinnySums / Rows]) {
  Int top = Int{};
  for (int first = 0; first < depth; first += kSkinnyDepth) {
    const int last = std::min(first + kSkinnyDepth, depth);
    for (int v = 0; v < vectors * kLanes; v += kLanes) {
      Float sum[Rows];
      for (int r = 0; r < Rows; ++r) sum[r] = as_float(load(sums[r] + v));
      const std::int32_t* words = right + first * stride + v;
      for (int k = first; k < last; ++k, words += stride) {
        const Int word = load(words), magnitude = word & splat(kMagnitude);
        top = magnitude > top ? magnitude : top;
        for (int r = 0; r < Rows; ++r)
          sum[r] += as_float((word + splat(left.addend[k][r])) & (magnitude > splat(left.below[k][r])));
      }
      for (int r = 0; r < Rows; ++r) store(sums[r] + v, as_int(sum[r]));
    }
  }
  std::int32_t highest = 0;
  for (int lane = 0; lane < kLanes; ++lane) highest = std::max<std::int32_t>(highest, top[lane]);
  return highest < kInf && std::int64_t{highest} + left.highest < kInf;
}

template <int Rows>
bool skinny_columns(const MatmulProblem& problem, const SkinnyLeft* chunks, const std::int32_t* right,
                    std::int64_t stride, float* out, const float* bias, int vectors) {
  alignas(64) std::int32_t sums[Rows][kSkinnySums / Rows];
  for (std::int64_t k = 0; k < problem.depth; k += kDotChunk, ++chunks) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kDotChunk, problem.depth - k));
    for (auto& row : sums) std::memset(row, 0, vectors * kLanes * 4);
    if (!skinny_sums<Rows>(depth, *chunks, right + k * stride, stride, vectors, sums)) return false;
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < vectors * kLanes; v += kLanes) {
        float* target = out + r * problem.columns + v;
        store(target, total_of(load(sums[r] + v), {}, target, bias ? bias + v : nullptr, k == 0,
                               k + depth == problem.depth));
      }
  }
  return true;
}

// The last columns, fewer than a vector, through padded copies.
template <int Rows>
bool skinny_rest(const MatmulProblem& problem, const SkinnyLeft* chunks, const std::int32_t* right,
                 std::int64_t stride, float* out, const float* bias, int rest) {
  alignas(64) std::int32_t padded[kDotChunk][kLanes] = {};
  alignas(64) std::int32_t sums[Rows][kSkinnySums / Rows];
  alignas(64) float totals[Rows][kLanes] = {}, addend[kLanes] = {};
  if (bias) std::memcpy(addend, bias, rest * 4);
  for (std::int64_t k = 0; k < problem.depth; k += kDotChunk, ++chunks) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kDotChunk, problem.depth - k));
    for (int d = 0; d < depth; ++d) std::memcpy(padded[d], right + (k + d) * stride, rest * 4);
    for (auto& row : sums) std::memset(row, 0, kLanes * 4);
    if (!skinny_sums<Rows>(depth, *chunks, padded[0], kLanes, 1, sums)) return false;
    for (int r = 0; r < Rows; ++r)
      store(totals[r], total_of(load(sums[r]), {}, totals[r], bias ? addend : nullptr, k == 0,
                                k + depth == problem.depth));
  }
  for (int r = 0; r < Rows; ++r) std::memcpy(out + r * problem.columns, totals[r], rest * 4);
  return true;
}

template <int Rows>
bool skinny_rows(const MatmulProblem& problem, const Matrix& left, const Matrix& right, std::int64_t row, float* out,
                 int threads) {
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
  const std::int64_t share = ((problem.columns + threads - 1) / threads + kLanes - 1) / kLanes * kLanes;
  const std::int64_t columns = std::min<std::int64_t>(share, kSkinnySums / Rows);
  parallel_for(threads, (problem.columns + columns - 1) / columns, [&](std::int64_t block) {
    const std::int64_t column = block * columns, width = std::min(columns, problem.columns - column);
    const int vectors = static_cast<int>(width / kLanes), rest = static_cast<int>(width % kLanes);
    const auto bias = [&](std::int64_t at) { return problem.bias ? problem.bias + at : nullptr; };
    if (vectors && !skinny_columns<Rows>(problem, chunks.data(), words + column, right.row_stride, rows + column,
                                         bias(column), vectors))
      exact = false;
    const std::int64_t last = column + vectors * kLanes;
    if (rest && !skinny_rest<Rows>(problem, chunks.data(), words + last, right.row_stride, rows + last, bias(last), rest))
      exact = false;
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
