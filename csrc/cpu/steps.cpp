// The optimizers' steps, one pass over parameters, gradients and state. AdamW's, the most used, is in optimizer.cpp.
//
// The last `not_negative` of a step's vectors (step_formulas.hpp) are second moments.
#include "steps.hpp"

#include "row_tools.hpp"
#include "step_formulas.hpp"

namespace mulfree::MF_TARGET {
namespace {

constexpr std::int64_t kTask = 1 << 14;

template <int count, int not_negative>
inline bool accepts(const Terms<count>& x) {
  Int outside{};
  each<count>([&](auto k) {
    outside |= k < count - not_negative ? magnitude(x[k]) >= kTameMost : at_least_unsigned(x[k], splat(kTameMost));
  });
  return !any(outside);
}

template <class Step, int count>
__attribute__((noinline)) void run_general(const Step& step, Terms<count>& x) {
  step.template run<GeneralStep>(x);
}

template <int count, int not_negative, class Step>
void for_elements(const Step& step, const std::array<float*, count>& tensors, std::int64_t n, int threads) {
  parallel_for(threads, (n + kTask - 1) / kTask, [&](std::int64_t task) {
    const Step local = step;
    const std::int64_t begin = task * kTask;
    walk(std::min(kTask, n - begin), [&](std::int64_t offset, auto span) {
      Terms<count> x;
      each<count>([&](auto k) { x[k] = span.load(tensors[k] + begin + offset); });
      auto store = [&](const Terms<count>& results) {
        each<count>([&](auto k) {
          if constexpr (k != 1) span.store(tensors[k] + begin + offset, results[k]);
        });
      };
      if (local.is_tame && accepts<count, not_negative>(x)) [[likely]] {
        local.template run<TameStep>(x);
        store(x);
        return;
      }
      Terms<count> copy = x;  // lest the fast path's values live in memory
      run_general<Step, count>(local, copy);
      store(copy);
    });
  });
}

// body(flag) with the flag as a constant, so that what is absent costs nothing inside the loops.
template <class Body>
inline void with_constant(bool flag, Body&& body) {
  if (flag) body(std::true_type{});
  else body(std::false_type{});
}

void sgd(float* param, const float* grad, float* buffer, std::int64_t n, SGDScalars s, bool nesterov,
         int threads) {
  float* const g = const_cast<float*>(grad);  // read only
  if (!buffer) return for_elements<2, 0>(SGDStep<false, false>(s), {param, g}, n, threads);
  with_constant(nesterov, [&](auto ahead) {
    for_elements<3, 0>(SGDStep<true, ahead>(s), {param, g, buffer}, n, threads);
  });
}

void adam(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, float* max_exp_avg_sq, std::int64_t n,
          AdamScalars s, int threads) {
  float* const g = const_cast<float*>(grad);  // read only
  if (!max_exp_avg_sq) return for_elements<4, 1>(AdamStep<false>(s), {param, g, exp_avg, exp_avg_sq}, n, threads);
  for_elements<5, 2>(AdamStep<true>(s), {param, g, exp_avg, exp_avg_sq, max_exp_avg_sq}, n, threads);
}

void rmsprop(float* param, const float* grad, float* square_avg, float* grad_avg, float* buffer, std::int64_t n,
             RMSpropScalars s, int threads) {
  float* const g = const_cast<float*>(grad);  // read only
  if (grad_avg && buffer)
    return for_elements<5, 1>(RMSpropStep<true, true>(s), {param, g, grad_avg, buffer, square_avg}, n, threads);
  if (grad_avg) return for_elements<4, 1>(RMSpropStep<true, false>(s), {param, g, grad_avg, square_avg}, n, threads);
  if (buffer) return for_elements<4, 1>(RMSpropStep<false, true>(s), {param, g, buffer, square_avg}, n, threads);
  for_elements<3, 1>(RMSpropStep<false, false>(s), {param, g, square_avg}, n, threads);
}

void lion(float* param, const float* grad, float* exp_avg, std::int64_t n, LionScalars s, int threads) {
  for_elements<3, 0>(LionStep(s), {param, const_cast<float*>(grad), exp_avg}, n, threads);
}

void moving_average(float* average, const float* param, std::int64_t n, std::int32_t share, int threads) {
  for_elements<2, 0>(AverageStep({share}), {average, const_cast<float*>(param)}, n, threads);
}

}  // namespace

extern const StepKernels step_kernels;
const StepKernels step_kernels{sgd, adam, rmsprop, lion, moving_average};

}  // namespace mulfree::MF_TARGET
