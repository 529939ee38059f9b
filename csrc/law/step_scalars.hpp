// Scalars of the optimizers' steps, as bits.
#pragma once
#include <cstdint>

namespace mulfree {

struct SGDScalars {
  std::int32_t lr, momentum, rest, weight_decay;
};

struct AdamScalars {
  std::int32_t lr, beta1, beta2, eps, decay, correction1, correction2, weight_decay;
};

struct RMSpropScalars {
  std::int32_t lr, alpha, eps, weight_decay, momentum;
};

struct LionScalars {
  std::int32_t lr, beta1, beta2, decay;
};

struct AverageScalars {
  std::int32_t share;
};

}  // namespace mulfree
