// Matrix products: batches, and which way each product takes.
#include "matmul.hpp"

#include <algorithm>

#include "float_environment.hpp"
#include "product.hpp"
#include "skinny.hpp"
#include "threads.hpp"

namespace mulfree::MF_TARGET {
namespace {

std::int64_t batch_offset(const MatmulProblem& problem, const std::int64_t* strides, std::int64_t index) {
  std::int64_t offset = 0;
  for (int d = problem.batch_dims - 1; d >= 0; --d) {
    offset += index % problem.batch_sizes[d] * strides[d];
    index /= problem.batch_sizes[d];
  }
  return offset;
}

// A product without terms: zeros, plus the bias.
void fill_empty(const MatmulProblem& problem, float* out) {
  for (std::int64_t i = 0; i < problem.rows; ++i)
    for (std::int64_t j = 0; j < problem.columns; ++j) {
      const float total = problem.bias ? 0.0f + problem.bias[j] : 0.0f;
      std::memcpy(out + i * problem.columns + j, total == total ? static_cast<const void*>(&total) : &kNan, 4);
    }
}

// The same products with the operands exchanged, which is as good where there is one column: its entries lie in memory
// like those of one row.
MatmulProblem with_one_row(const MatmulProblem& problem) {
  MatmulProblem turned = problem;
  turned.left = {problem.right.data, problem.right.column_stride, problem.right.row_stride};
  turned.right = {problem.left.data, problem.left.column_stride, problem.left.row_stride};
  std::swap(turned.rows, turned.columns);
  std::swap_ranges(turned.left_strides, turned.left_strides + kMaxBatchDims, turned.right_strides);
  return turned;
}

void run_one(const MatmulProblem& problem, std::int64_t index, int threads) {
  const Format format = problem.format;
  const Matrix left = problem.left.shifted(batch_offset(problem, problem.left_strides, index), format);
  const Matrix right = problem.right.shifted(batch_offset(problem, problem.right_strides, index), format);
  float* out = problem.out + index * problem.rows * problem.columns;
  if (problem.depth == 0) return fill_empty(problem, out);
  if (!problem.slope.data && is_skinny(problem, right) && skinny_product(problem, left, right, out, threads)) return;
  MatrixLines<kTileRows> rows(left.data, format, left.row_stride, left.column_stride);
  MatrixLines<kTileColumns> columns(right.data, format, right.column_stride, right.row_stride);
  if (!problem.slope.data) return run_product(problem, rows, columns, out, threads);
  MatmulProblem shifted = problem;
  shifted.slope = problem.slope.shifted(batch_offset(problem, problem.slope_strides, index), format);
  run_product(shifted, rows, columns, out, threads);
}

// Too few products to be worth waking other threads.
bool is_small(const MatmulProblem& problem, std::int64_t batch) {
  std::int64_t products = 1;
  for (const std::int64_t size : {batch, problem.rows, problem.columns, problem.depth})
    if (__builtin_mul_overflow(products, size, &products)) return false;
  return products < 1 << 16;
}

void matmul(const MatmulProblem& given) {
  FloatEnvironment environment;
  const bool turn = given.columns == 1 && given.rows > 1 && !given.slope.data && !given.bias;
  const MatmulProblem problem = turn ? with_one_row(given) : given;
  std::int64_t batch = 1;
  for (int d = 0; d < problem.batch_dims; ++d) batch *= problem.batch_sizes[d];
  if (batch == 0 || problem.rows == 0 || problem.columns == 0) return;
  const bool share_each = batch < 2 * problem.threads;
  const int threads = is_small(problem, batch) ? 1 : problem.threads;
  if (share_each) {
    for (std::int64_t i = 0; i < batch; ++i) run_one(problem, i, threads);
  } else {
    parallel_for(threads, batch, [&](std::int64_t i) { run_one(problem, i, 1); });
  }
}

// One tile over and over, from the nearest caches: what the fast loop can reach at most, for benchmarks. Returns how
// many products that were.
std::int64_t repeat_tile(std::int64_t times) {
  FloatEnvironment environment;
  alignas(64) static thread_local std::int32_t left[kDotChunk * kTileRows], right[kDotChunk * kTileColumns];
  alignas(64) std::int32_t tile[kTileSize];
  const auto volatile loop = fast_tile<kTileRows, kTileVectors>;  // so that no call is left out
  for (std::int64_t i = 0; i < times; ++i) loop(kDotChunk, left, right, tile);
  return times * kDotChunk * kTileSize;
}

}  // namespace

extern const MatmulKernels matmul_kernels;
const MatmulKernels matmul_kernels{matmul, take_tile_counts, repeat_tile};

}  // namespace mulfree::MF_TARGET
