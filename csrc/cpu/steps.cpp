// The optimizers' steps, one pass over parameters, gradients and state. AdamW's, the most used, is in optimizer.cpp.
//
// A step is an array of vectors, x[0] the parameter and x[1] the gradient, which stays; the last `not_negative` of
// them are second moments. `is_tame` tells whether the step's factors suit TameStep.
#include "steps.hpp"

#include "row_tools.hpp"
#include "step_arithmetic.hpp"

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

// The gradient of the loss with an L2 penalty.
template <class A>
inline Int decayed(Int grad, Int param, const Factor& weight_decay) {
  return weight_decay.zero ? grad : A::add(grad, A::times(param, weight_decay));
}

template <class A>
inline Int descend(Int param, const Factor& rate, Int direction) {
  return A::subtract(param, A::times(direction, rate));
}

template <class A>
inline Int toward(Int average, Int target, const Factor& share) {
  return A::add(average, A::times(A::subtract(target, average), share));
}

// average * beta + x * (1 - beta)
struct Blend {
  explicit Blend(std::int32_t word) : beta(word), rest(subtract(splat(kOne), beta.bits)) {}
  bool is_tame() const { return beta.multiplies && rest.multiplies; }
  template <class A>
  Int run(Int average, Int x) const { return A::add(A::times(average, beta), A::times(x, rest)); }
  Factor beta, rest;
};

template <bool has_buffer, bool nesterov>
struct SGDStep {
  explicit SGDStep(const SGDScalars& s) : lr(s.lr), momentum(s.momentum), rest(s.rest), weight_decay(s.weight_decay) {
    is_tame = lr.multiplies && momentum.multiplies && rest.multiplies && weight_decay.multiplies;
  }

  template <class A, class X>
  void run(X& x) const {
    Int g = decayed<A>(x[1], x[0], weight_decay);
    if constexpr (has_buffer) {
      x[2] = A::add(A::times(x[2], momentum), A::times(g, rest));
      g = nesterov ? A::add(g, A::times(x[2], momentum)) : x[2];
    }
    x[0] = descend<A>(x[0], lr, g);
  }

  Factor lr, momentum, rest, weight_decay;
  bool is_tame;
};

void sgd(float* param, const float* grad, float* buffer, std::int64_t n, SGDScalars s, int threads) {
  float* const g = const_cast<float*>(grad);  // read only
  if (!buffer) return for_elements<2, 0>(SGDStep<false, false>(s), {param, g}, n, threads);
  with_constant(s.nesterov, [&](auto nesterov) {
    for_elements<3, 0>(SGDStep<true, nesterov>(s), {param, g, buffer}, n, threads);
  });
}

template <bool amsgrad>
struct AdamStep {
  explicit AdamStep(const AdamScalars& s)
      : first(s.beta1), second(s.beta2), lr(s.lr), eps(s.eps), decay(s.decay), correction1(s.correction1),
        correction2(s.correction2), weight_decay(s.weight_decay) {
    is_tame = first.is_tame() && second.is_tame() && lr.multiplies && eps.divides && decay.multiplies &&
              correction1.divides && correction2.divides && weight_decay.multiplies;
  }

  template <class A, class X>
  void run(X& x) const {
    Int g = decayed<A>(x[1], x[0], weight_decay);
    x[2] = first.run<A>(x[2], g);
    x[3] = second.run<A>(x[3], A::square(g));
    Int v = x[3];
    if constexpr (amsgrad) v = x[4] = A::larger(x[4], v);
    Int root = A::add(A::root(v, correction2), eps.bits);
    x[0] = descend<A>(descend<A>(x[0], decay, x[0]), lr, A::over(x[2], correction1, root));
  }

  Blend first, second;
  Factor lr, eps, decay, correction1, correction2, weight_decay;
  bool is_tame;
};

void adam(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, float* max_exp_avg_sq, std::int64_t n,
          AdamScalars s, int threads) {
  float* const g = const_cast<float*>(grad);  // read only
  if (!max_exp_avg_sq) return for_elements<4, 1>(AdamStep<false>(s), {param, g, exp_avg, exp_avg_sq}, n, threads);
  for_elements<5, 2>(AdamStep<true>(s), {param, g, exp_avg, exp_avg_sq, max_exp_avg_sq}, n, threads);
}

template <bool centered, bool has_buffer>
struct RMSpropStep {
  static constexpr int kMiddle = 2, kBuffer = 2 + centered, kSquare = kBuffer + has_buffer;

  explicit RMSpropStep(const RMSpropScalars& s)
      : blend(s.alpha), lr(s.lr), eps(s.eps), weight_decay(s.weight_decay), momentum(s.momentum), one(kOne) {
    is_tame = blend.is_tame() && lr.multiplies && eps.divides && weight_decay.multiplies && momentum.multiplies;
  }

  template <class A, class X>
  void run(X& x) const {
    Int g = decayed<A>(x[1], x[0], weight_decay), variance;
    if constexpr (centered) {
      Int before = A::subtract(x[kSquare], A::square(x[kMiddle])), distance = A::subtract(g, x[kMiddle]);
      x[kMiddle] = toward<A>(x[kMiddle], g, blend.rest);
      variance = A::times(A::add(before & ~(before < 0), A::times(A::square(distance), blend.rest)), blend.beta);
      x[kSquare] = A::add(variance, A::square(x[kMiddle]));
    } else {
      variance = x[kSquare] = blend.run<A>(x[kSquare], A::square(g));
    }
    Int step = A::over(g, one, A::add(A::root(variance, one), eps.bits));
    if constexpr (has_buffer) step = x[kBuffer] = A::add(A::times(x[kBuffer], momentum), step);
    x[0] = descend<A>(x[0], lr, step);
  }

  Blend blend;
  Factor lr, eps, weight_decay, momentum, one;
  bool is_tame;
};

void rmsprop(float* param, const float* grad, float* square_avg, float* grad_avg, float* buffer, std::int64_t n,
             RMSpropScalars s, int threads) {
  float* const g = const_cast<float*>(grad);  // read only
  if (grad_avg && buffer)
    return for_elements<5, 1>(RMSpropStep<true, true>(s), {param, g, grad_avg, buffer, square_avg}, n, threads);
  if (grad_avg) return for_elements<4, 1>(RMSpropStep<true, false>(s), {param, g, grad_avg, square_avg}, n, threads);
  if (buffer) return for_elements<4, 1>(RMSpropStep<false, true>(s), {param, g, buffer, square_avg}, n, threads);
  for_elements<3, 1>(RMSpropStep<false, false>(s), {param, g, square_avg}, n, threads);
}

struct LionStep {
  explicit LionStep(const LionScalars& s) : direction(s.beta1), average(s.beta2), lr(s.lr), decay(s.decay) {
    is_tame = direction.is_tame() && average.is_tame() && lr.multiplies && decay.multiplies;
  }

  template <class A, class X>
  void run(X& x) const {
    Int sign = A::sign(direction.run<A>(x[2], x[1]));
    x[2] = average.run<A>(x[2], x[1]);
    x[0] = descend<A>(descend<A>(x[0], decay, x[0]), lr, sign);
  }

  Blend direction, average;
  Factor lr, decay;
  bool is_tame;
};

void lion(float* param, const float* grad, float* exp_avg, std::int64_t n, LionScalars s, int threads) {
  for_elements<3, 0>(LionStep(s), {param, const_cast<float*>(grad), exp_avg}, n, threads);
}

struct AverageStep {
  explicit AverageStep(std::int32_t word) : share(word), is_tame(share.multiplies) {}

  template <class A, class X>
  void run(X& x) const { x[0] = toward<A>(x[0], x[1], share); }

  Factor share;
  bool is_tame;
};

void moving_average(float* average, const float* param, std::int64_t n, std::int32_t share, int threads) {
  for_elements<2, 0>(AverageStep(share), {average, const_cast<float*>(param)}, n, threads);
}

}  // namespace

extern const StepKernels step_kernels;
const StepKernels step_kernels{sgd, adam, rmsprop, lion, moving_average};

}  // namespace mulfree::MF_TARGET
