// Interface of the row kernels; the law is in docs/spec.md, sections 6 and 7. Matrices are contiguous, `stats` holds
// two numbers a row, and `exact` chooses the derivative.
#pragma once
#include <cstdint>

namespace mulfree {

struct RowsShape {
  std::int64_t rows, n;
  int threads;
};

// A contiguous tensor of this shape; a channel's numbers are a row in the order (batch, position).
struct ChannelsShape {
  std::int64_t batch, channels, positions;
  int threads;
  std::int64_t row() const { return batch * positions; }
};

// Numbers that batch norm keeps of a channel: mean, variance + eps, sum, sum of the centred squares.
constexpr int kChannelStats = 4;

struct Smoothing {
  std::int64_t ignore_index;
  bool smooth;                        // false: the two weights are unused
  std::int32_t by_target, by_class;  // bits
};

struct AdamWScalars {
  std::int32_t lr, beta1, beta2, eps, decay, correction1, correction2;  // bits
};

struct RowKernels {
  // x is (outer, n, inner), out is (outer, inner).
  void (*sum)(const float* x, float* out, std::int64_t outer, std::int64_t n, std::int64_t inner, int threads);

  void (*softmax)(const float* x, float* out, float* stats, RowsShape shape);
  void (*softmax_grad)(const float* grad, const float* x, const float* stats, float* out, RowsShape shape, bool exact);
  void (*log_softmax)(const float* x, float* out, float* stats, RowsShape shape);
  void (*log_softmax_grad)(const float* grad, const float* x, const float* stats, float* out, RowsShape shape,
                           bool exact);
  void (*logsumexp)(const float* x, float* out, float* stats, RowsShape shape);
  void (*logsumexp_grad)(const float* grad, const float* x, const float* stats, float* out, RowsShape shape,
                         bool exact);
  void (*cross_entropy)(const float* x, const std::int64_t* target, float* out, float* stats, RowsShape shape,
                        Smoothing smoothing);
  void (*cross_entropy_grad)(const float* grad, const float* x, const std::int64_t* target, const float* stats,
                             float* out, RowsShape shape, Smoothing smoothing, bool exact);

  // weight and bias may be null; by_weight and by_bias have n entries; eps and count are bits.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float* out, float* stats, RowsShape shape,
                     std::int32_t eps, std::int32_t count);
  void (*layer_norm_grad)(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                          float* by_weight, float* by_bias, RowsShape shape, std::int32_t count, bool exact);

  // weight and bias may be null; by_weight and by_bias have a number for each channel; eps and count are bits.
  void (*batch_norm)(const float* x, const float* weight, const float* bias, float* out, float* stats,
                     ChannelsShape shape, std::int32_t eps, std::int32_t count);
  void (*batch_norm_grad)(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                          float* by_weight, float* by_bias, ChannelsShape shape, std::int32_t count, bool exact);

  void (*adamw)(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, std::int64_t n,
                AdamWScalars scalars, int threads);
};

}  // namespace mulfree
