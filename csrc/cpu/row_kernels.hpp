// The row kernels of one target, defined in the sources named after them and collected in rows.cpp.
#pragma once
#include "rows.hpp"
#include "targets.hpp"

namespace mulfree::MF_TARGET {

void sum(const float* x, float* out, std::int64_t outer, std::int64_t n, std::int64_t inner, int threads);
void softmax(const float* x, float* out, float* stats, RowsShape shape);
void softmax_grad(const float* grad, const float* x, const float* stats, float* out, RowsShape shape, bool exact);
void log_softmax(const float* x, float* out, float* stats, RowsShape shape);
void log_softmax_grad(const float* grad, const float* x, const float* stats, float* out, RowsShape shape, bool exact);
void logsumexp(const float* x, float* out, float* stats, RowsShape shape);
void logsumexp_grad(const float* grad, const float* x, const float* stats, float* out, RowsShape shape, bool exact);
void cross_entropy(const float* x, const std::int64_t* target, float* out, float* stats, RowsShape shape,
                   Smoothing smoothing);
void cross_entropy_grad(const float* grad, const float* x, const std::int64_t* target, const float* stats, float* out,
                        RowsShape shape, Smoothing smoothing, bool exact);
void layer_norm(const float* x, const float* weight, const float* bias, float* out, float* stats, RowsShape shape,
                std::int32_t eps, std::int32_t count);
void layer_norm_grad(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                     float* by_weight, float* by_bias, RowsShape shape, std::int32_t count, bool exact);
void batch_norm(const float* x, const float* weight, const float* bias, float* out, float* stats, ChannelsShape shape,
                std::int32_t eps, std::int32_t count);
void batch_norm_grad(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                     float* by_weight, float* by_bias, ChannelsShape shape, std::int32_t count, bool exact);
void adamw(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, std::int64_t n, AdamWScalars scalars,
           int threads);

}  // namespace mulfree::MF_TARGET
