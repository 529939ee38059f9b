// Interface of the matrix product kernels; the law is in docs/spec.md, sections 4 and 6.
#pragma once
#include <cstdint>

namespace mulfree {

enum class Format : std::int32_t { float32, float16, bfloat16 };

// A matrix anywhere in memory; strides in elements, of any sign.
struct Matrix {
  const void* data;
  std::int64_t row_stride;
  std::int64_t column_stride;

  Matrix shifted(std::int64_t elements, Format format) const {
    const std::int64_t size = format == Format::float32 ? 4 : 2;
    return {static_cast<const char*>(data) + elements * size, row_stride, column_stride};
  }
};

constexpr int kMaxBatchDims = 8;

// out[i, j] = sum over k of left[i, k] * right[k, j] (+ bias[j]), or, with a `slope` matrix (rows x columns),
// of the exact derivative of the product slope[i, j] * right[k, j] by its first factor, times left[i, k].
struct MatmulProblem {
  Matrix left, right, slope;  // slope.data is null for products
  float* out;                 // row-major, rows x columns, one matrix after the other
  const float* bias;          // null or `columns` numbers
  std::int64_t rows, columns, depth;
  Format format;
  int mantissa_bits;
  std::int32_t offset;  // compensation
  int threads;
  int batch_dims;
  std::int64_t batch_sizes[kMaxBatchDims];
  std::int64_t left_strides[kMaxBatchDims], right_strides[kMaxBatchDims], slope_strides[kMaxBatchDims];
};

// How many tiles each inner loop served, for tests and benchmarks.
struct TileCounts {
  std::int64_t empty, fast, general;
};

struct MatmulKernels {
  void (*matmul)(const MatmulProblem& problem);
  TileCounts (*take_tile_counts)();
  std::int64_t (*repeat_tile)(std::int64_t times);
};

}  // namespace mulfree
