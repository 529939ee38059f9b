// Interface of the optimizers' steps; the law is in docs/spec.md, section 9. Tensors are contiguous and of n elements;
// scalars are bits.
#pragma once
#include <cstdint>

#include "step_scalars.hpp"

namespace mulfree {

struct StepKernels {
  // No buffer: no momentum.
  void (*sgd)(float* param, const float* grad, float* buffer, std::int64_t n, SGDScalars scalars,
              bool nesterov, int threads);
  // No max_exp_avg_sq: no amsgrad.
  void (*adam)(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, float* max_exp_avg_sq,
               std::int64_t n, AdamScalars scalars, int threads);
  // No grad_avg: not centered. No buffer: no momentum.
  void (*rmsprop)(float* param, const float* grad, float* square_avg, float* grad_avg, float* buffer, std::int64_t n,
                  RMSpropScalars scalars, int threads);
  void (*lion)(float* param, const float* grad, float* exp_avg, std::int64_t n, LionScalars scalars, int threads);
  void (*moving_average)(float* average, const float* param, std::int64_t n, std::int32_t share, int threads);
};

}  // namespace mulfree
