// The optimizers' steps, one pass over parameters, gradients and state. AdamW's, the most used, is in optimizer.cpp.
#include "steps.hpp"

#include "row_tools.hpp"

namespace mulfree::MF_TARGET {
namespace {

// A number that multiplies every element.
struct Scalar {
  explicit Scalar(std::int32_t bits) : bits(splat(bits)), zero((bits & kMagnitude) < kMin) {}
  Int bits;
  bool zero;
};

// The gradient of the loss with an L2 penalty.
inline Int decayed(Int grad, Int param, const Scalar& weight_decay) {
  return weight_decay.zero ? grad : add(grad, mul(weight_decay.bits, param));
}

inline Int descend(Int param, Int rate, Int direction) { return subtract(param, mul(rate, direction)); }

// average * beta + x * (1 - beta)
struct Blend {
  explicit Blend(std::int32_t bits) : beta(splat(bits)), rest(subtract(splat(kOne), beta)) {}
  Int operator()(Int average, Int x) const { return add(mul(average, beta), mul(x, rest)); }
  Int beta, rest;
};

inline Int toward(Int average, Int target, Int share) { return add(average, mul(share, subtract(target, average))); }

// The larger numbers, those of b where they are equal; NaN if there is one.
inline Int larger_number(Int a, Int b) {
  Int result = larger_float(flush(a), b);
  return select(is_nan(magnitude(a)) | is_nan(magnitude(b)), splat(kNan), result);
}

// -1, +0 or 1; NaN of a NaN.
inline Int sign_number(Int a) {
  Int m = magnitude(a);
  return select(is_nan(m), splat(kNan), (sign_of(a) | kOne) & ~is_zero(m));
}

constexpr std::int64_t kTask = 1 << 14;

// body(i, span) for every vector of n elements, many vectors a task.
template <class Body>
inline void for_elements(std::int64_t n, int threads, Body&& body) {
  parallel_for(threads, (n + kTask - 1) / kTask, [&](std::int64_t task) {
    const std::int64_t begin = task * kTask;
    walk(std::min(kTask, n - begin), [&](std::int64_t offset, auto span) { body(begin + offset, span); });
  });
}

// body(constants...) with each flag as a constant, so that what is absent costs nothing inside the loops.
template <class Body>
inline void with_constant(bool flag, Body&& body) {
  if (flag) body(std::true_type{});
  else body(std::false_type{});
}

template <bool has_buffer, bool nesterov>
void sgd_loop(float* param, const float* grad, float* buffer, std::int64_t n, const SGDScalars& s, int threads) {
  const Scalar weight_decay(s.weight_decay);
  const Int lr = splat(s.lr), momentum = splat(s.momentum), rest = splat(s.rest);
  for_elements(n, threads, [&](std::int64_t i, auto span) {
    Int p = span.load(param + i), g = decayed(span.load(grad + i), p, weight_decay);
    if constexpr (has_buffer) {
      Int b = add(mul(span.load(buffer + i), momentum), mul(g, rest));
      span.store(buffer + i, b);
      g = nesterov ? add(g, mul(momentum, b)) : b;
    }
    span.store(param + i, descend(p, lr, g));
  });
}

void sgd(float* param, const float* grad, float* buffer, std::int64_t n, SGDScalars s, int threads) {
  with_constant(buffer, [&](auto has_buffer) {
    with_constant(s.nesterov, [&](auto nesterov) {
      sgd_loop<has_buffer, nesterov>(param, grad, buffer, n, s, threads);
    });
  });
}

template <bool amsgrad>
void adam_loop(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, float* max_exp_avg_sq,
               std::int64_t n, const AdamScalars& s, int threads) {
  const Scalar weight_decay(s.weight_decay);
  const Blend first(s.beta1), second(s.beta2);
  const Int lr = splat(s.lr), eps = splat(s.eps), decay = splat(s.decay);
  const Int correction1 = splat(s.correction1), correction2 = splat(s.correction2);
  for_elements(n, threads, [&](std::int64_t i, auto span) {
    Int p = span.load(param + i), g = decayed(span.load(grad + i), p, weight_decay);
    Int m = first(span.load(exp_avg + i), g), v = second(span.load(exp_avg_sq + i), mul(g, g));
    span.store(exp_avg + i, m);
    span.store(exp_avg_sq + i, v);
    if constexpr (amsgrad) {
      v = larger_number(span.load(max_exp_avg_sq + i), v);
      span.store(max_exp_avg_sq + i, v);
    }
    Int root = add(sqrt(div(v, correction2)), eps);
    span.store(param + i, descend(descend(p, decay, p), lr, div(div(m, correction1), root)));
  });
}

void adam(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, float* max_exp_avg_sq, std::int64_t n,
          AdamScalars s, int threads) {
  with_constant(max_exp_avg_sq, [&](auto amsgrad) {
    adam_loop<amsgrad>(param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, n, s, threads);
  });
}

template <bool centered, bool has_buffer>
void rmsprop_loop(float* param, const float* grad, float* square_avg, float* grad_avg, float* buffer, std::int64_t n,
                  const RMSpropScalars& s, int threads) {
  const Scalar weight_decay(s.weight_decay);
  const Blend blend(s.alpha);
  const Int lr = splat(s.lr), eps = splat(s.eps), momentum = splat(s.momentum);
  for_elements(n, threads, [&](std::int64_t i, auto span) {
    Int p = span.load(param + i), g = decayed(span.load(grad + i), p, weight_decay);
    Int square = span.load(square_avg + i), variance;
    if constexpr (centered) {
      Int middle = span.load(grad_avg + i), before = subtract(square, mul(middle, middle));
      Int distance = subtract(g, middle);
      middle = toward(middle, g, blend.rest);
      variance = mul(blend.beta, add(before & ~(before < 0), mul(blend.rest, mul(distance, distance))));
      square = add(variance, mul(middle, middle));
      span.store(grad_avg + i, middle);
    } else {
      square = variance = blend(square, mul(g, g));
    }
    span.store(square_avg + i, square);
    Int step = div(g, add(sqrt(variance), eps));
    if constexpr (has_buffer) {
      step = add(mul(span.load(buffer + i), momentum), step);
      span.store(buffer + i, step);
    }
    span.store(param + i, descend(p, lr, step));
  });
}

void rmsprop(float* param, const float* grad, float* square_avg, float* grad_avg, float* buffer, std::int64_t n,
             RMSpropScalars s, int threads) {
  with_constant(grad_avg, [&](auto centered) {
    with_constant(buffer, [&](auto has_buffer) {
      rmsprop_loop<centered, has_buffer>(param, grad, square_avg, grad_avg, buffer, n, s, threads);
    });
  });
}

void lion(float* param, const float* grad, float* exp_avg, std::int64_t n, LionScalars s, int threads) {
  const Blend direction(s.beta1), average(s.beta2);
  const Int lr = splat(s.lr), decay = splat(s.decay);
  for_elements(n, threads, [&](std::int64_t i, auto span) {
    Int p = span.load(param + i), g = span.load(grad + i), m = span.load(exp_avg + i);
    span.store(exp_avg + i, average(m, g));
    span.store(param + i, descend(descend(p, decay, p), lr, sign_number(direction(m, g))));
  });
}

void moving_average(float* average, const float* param, std::int64_t n, std::int32_t share, int threads) {
  const Int by = splat(share);
  for_elements(n, threads, [&](std::int64_t i, auto span) {
    span.store(average + i, toward(span.load(average + i), span.load(param + i), by));
  });
}

}  // namespace

extern const StepKernels step_kernels;
const StepKernels step_kernels{sgd, adam, rmsprop, lion, moving_average};

}  // namespace mulfree::MF_TARGET
