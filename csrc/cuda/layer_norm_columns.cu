// The gradients of layer norm by weight and bias: sums over rows in the law's order. MF_EXACT: which derivative.
#include "sums.hpp"

namespace mulfree::MF_TARGET {

constexpr int kColumns = kWarp;  // a block's
constexpr int kColumnThreads = kColumns * kSumLanes;
constexpr int kTogether = 4;     // rows that a thread loads before it works on them

struct ColumnsArgs {
  const std::int32_t *grad, *x, *weight, *stats, *roots;  // the weight may be null
  std::int32_t *by_weight, *by_bias;                      // chunk k's sums are k * stride words further
  std::int64_t rows, n, stride;
  Divider column_blocks;
};

// A warp works on one lane of the sums: rows lane, lane + 32, ... of a chunk, a column each thread.
struct Lane {
  Int by_weight, by_bias;

  void take(const ColumnsArgs& args, std::int64_t column, std::int64_t start, std::int64_t stop) {
    const Int weight = args.weight ? args.weight[column] : kOne;
    for (std::int64_t first = start; first < stop; first += kTogether * kSumLanes) {
      Int grad[kTogether], x[kTogether], middle[kTogether], root[kTogether];
      MF_UNROLL
      for (int k = 0; k < kTogether; ++k) {
        const std::int64_t row = first + k * kSumLanes;
        if (row >= stop) break;
        grad[k] = args.grad[row * args.n + column];
        x[k] = args.x[row * args.n + column];
        middle[k] = args.stats[2 * row];
        root[k] = args.roots[row];
      }
      MF_UNROLL
      for (int k = 0; k < kTogether; ++k) {
        if (first + k * kSumLanes >= stop) break;
        const Int normal = div(subtract(x[k], middle[k]), root[k]);
        by_weight = add_floats(by_weight, d_mul<MF_EXACT>(grad[k], weight, normal));
        by_bias = add_floats(by_bias, grad[k]);
      }
    }
  }
};

// A block for some columns of a chunk.
MF_KERNEL(columns, ColumnsArgs, kColumnThreads) {
  MF_SHARED std::int32_t by_weight[kSumLanes][kColumns + 1], by_bias[kSumLanes][kColumns + 1];
  const int inner = lane_number(), outer = static_cast<int>(threadIdx.x / kWarp);
  std::int64_t chunk = blockIdx.x;
  const std::int64_t first_column = args.column_blocks.divide(&chunk) * kColumns;
  const std::int64_t start = chunk * kSumChunk, stop = start + kSumChunk < args.rows ? start + kSumChunk : args.rows;
  Lane lane;
  if (first_column + inner < args.n) lane.take(args, first_column + inner, start + outer, stop);
  by_weight[outer][inner] = lane.by_weight.v;
  by_bias[outer][inner] = lane.by_bias.v;
  __syncthreads();
  // Now a warp works on one column.
  const Int weight_sum = close_total(fold_lanes(by_weight[inner][outer]));
  const Int bias_sum = close_total(fold_lanes(by_bias[inner][outer]));
  if (inner > 0 || first_column + outer >= args.n) return;
  args.by_weight[chunk * args.stride + first_column + outer] = weight_sum.v;
  args.by_bias[chunk * args.stride + first_column + outer] = bias_sum.v;
}

constexpr int kAddThreads = 128;

struct AddChunksArgs {
  const std::int32_t* sums;  // (chunks, 2, n)
  std::int32_t *by_weight, *by_bias;
  std::int64_t chunks, n;
};

// A thread for each of the 2 n sums.
MF_KERNEL(add_chunks, AddChunksArgs, kAddThreads) {
  const std::int64_t i = global_thread();
  if (i >= 2 * args.n) return;
  Int total;
  for (std::int64_t chunk = 0; chunk < args.chunks; ++chunk)
    total = add_floats(total, Int(args.sums[2 * args.n * chunk + i]));
  (i < args.n ? args.by_weight[i] : args.by_bias[i - args.n]) = close_total(total).v;
}

}  // namespace mulfree::MF_TARGET
