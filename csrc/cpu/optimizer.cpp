// Optimizer steps, one pass over parameters, gradients and state.
#include "row_kernels.hpp"
#include "row_tools.hpp"

namespace mulfree::MF_TARGET {
namespace {

struct AdamWStep {
  explicit AdamWStep(const AdamWScalars& s)
      : lr(splat(s.lr)),
        beta1(splat(s.beta1)),
        beta2(splat(s.beta2)),
        rest1(subtract(splat(kOne), beta1)),
        rest2(subtract(splat(kOne), beta2)),
        eps(splat(s.eps)),
        decay(splat(s.decay)),
        correction1(splat(s.correction1)),
        correction2(splat(s.correction2)) {}

  void general(Int& param, Int grad, Int& m, Int& v) const {
    m = add(mul(m, beta1), mul(grad, rest1));
    v = add(mul(v, beta2), mul(mul(grad, grad), rest2));
    Int root = add(sqrt(div(v, correction2)), eps);
    Int step = mul(lr, div(div(m, correction1), root));
    param = subtract(subtract(param, mul(decay, param)), step);
  }

  Int lr, beta1, beta2, rest1, rest2, eps, decay, correction1, correction2;
};

constexpr std::int64_t kTask = 1 << 14;

}  // namespace

void adamw(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, std::int64_t n, AdamWScalars scalars,
           int threads) {
  parallel_for(threads, (n + kTask - 1) / kTask, [&](std::int64_t task) {
    const AdamWStep step(scalars);
    const std::int64_t begin = task * kTask;
    walk(std::min(kTask, n - begin), [&](std::int64_t offset, auto span) {
      const std::int64_t i = begin + offset;
      Int p = span.load(param + i), m = span.load(exp_avg + i), v = span.load(exp_avg_sq + i);
      step.general(p, span.load(grad + i), m, v);
      span.store(param + i, p);
      span.store(exp_avg + i, m);
      span.store(exp_avg_sq + i, v);
    });
  });
}

}  // namespace mulfree::MF_TARGET
