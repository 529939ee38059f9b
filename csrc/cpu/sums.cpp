// Sums over a dimension in the law's order.
#include "row_kernels.hpp"
#include "row_tools.hpp"

namespace mulfree::MF_TARGET {
namespace {

constexpr std::int64_t kColumns = 64;  // columns summed at a time; their lanes fill 8 KiB

void add_row(float* lane, const float* row, std::int64_t columns) {
  walk(columns, [&](std::int64_t i, auto span) {
    span.store(lane + i, add_floats(span.load(lane + i), span.load(row + i)));
  });
}

// Sums over the n rows of `columns` <= kColumns neighbouring columns of a matrix with rows `stride` apart.
void sum_columns(const float* x, float* out, std::int64_t n, std::int64_t columns, std::int64_t stride) {
  float lanes[kSumLanes][kColumns];
  float totals[kColumns] = {};
  for (std::int64_t start = 0; start < n; start += kSumChunk) {
    std::memset(lanes, 0, sizeof lanes);
    const std::int64_t stop = std::min<std::int64_t>(n, start + kSumChunk);
    for (std::int64_t row = start; row < stop; ++row) add_row(lanes[row % kSumLanes], x + row * stride, columns);
    for (int width = kSumLanes / 2; width > 0; width /= 2)
      for (int lane = 0; lane < width; ++lane) add_row(lanes[lane], lanes[lane + width], columns);
    add_row(totals, lanes[0], columns);
  }
  walk(columns, [&](std::int64_t i, auto span) { span.store(out + i, close_total(span.load(totals + i))); });
}

}  // namespace

void sum(const float* x, float* out, std::int64_t outer, std::int64_t n, std::int64_t inner, int threads) {
  if (inner == 1) {
    return for_rows({outer, n, threads}, [&](std::int64_t row) {
      keep(out + row, sum_row(n, [&](std::int64_t i, auto span) { return span.load(x + row * n + i); }));
    });
  }
  const std::int64_t blocks = (inner + kColumns - 1) / kColumns;
  parallel_for(threads, outer * blocks, [&](std::int64_t task) {
    const std::int64_t at = task / blocks, column = task % blocks * kColumns;
    sum_columns(x + at * n * inner + column, out + at * inner + column, n, std::min(kColumns, inner - column), inner);
  });
}

}  // namespace mulfree::MF_TARGET
