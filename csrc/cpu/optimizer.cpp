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

  void run(Int& param, Int grad, Int& m, Int& v) const {
    m = add(mul(m, beta1), mul(grad, rest1));
    v = add(mul(v, beta2), mul(mul(grad, grad), rest2));
    Int root = add(sqrt(div(v, correction2)), eps);
    Int step = mul(lr, div(div(m, correction1), root));
    param = subtract(subtract(param, mul(decay, param)), step);
  }

  Int lr, beta1, beta2, rest1, rest2, eps, decay, correction1, correction2;
};

// The same step where nothing overflows: scalars between 2^-40 and 1 (factors may be zero), magnitudes below 2^30,
// exp_avg_sq not negative. A product with a scalar is then one addition.
struct TameAdamWStep {
  static constexpr std::int32_t kMost = kOne + 30 * kStep;
  static constexpr std::int32_t kLeastScalar = kOne - 40 * kStep;
  static constexpr std::int32_t kNothing = -kInf;  // added for a factor zero: no sum reaches the smallest normal

  explicit TameAdamWStep(const AdamWStep& s)
      : lr(factor(s.lr)),
        beta1(factor(s.beta1)),
        beta2(factor(s.beta2)),
        rest1(factor(s.rest1)),
        rest2(factor(s.rest2)),
        decay(factor(s.decay)),
        eps(s.eps),
        correction1(kOne - s.correction1),
        correction2(kOne - s.correction2),
        applies(is_factor(s.lr) && is_factor(s.beta1) && is_factor(s.beta2) && is_factor(s.rest1) &&
                is_factor(s.rest2) && is_factor(s.decay) && is_scalar(s.eps) && is_scalar(s.correction1) &&
                is_scalar(s.correction2)) {}

  static bool is_scalar(Int v) { return !any((v < kLeastScalar) | (v > kOne)); }
  static bool is_factor(Int v) { return is_scalar(v) || !any(v != 0); }
  static Int factor(Int v) { return select(v == 0, splat(kNothing), v - kOne); }

  bool accepts(Int param, Int grad, Int m, Int v) const {
    Int reach = larger(larger(magnitude(param), magnitude(grad)), magnitude(m));
    return applies && !any((reach >= kMost) | at_least_unsigned(v, splat(kMost)));
  }

  // A product that an addition takes: what is below the smallest normal counts as zero there.
  static Int term(Int magnitude, Int factor, Int sign) { return larger(magnitude + factor, Int{}) | sign_of(sign); }

  void run(Int& param, Int grad, Int& m, Int& v) const {
    Int mg = magnitude(grad);
    m = add_floats(term(magnitude(m), beta1, m), term(mg, rest1, grad));
    v = add_floats(term(v, beta2, Int{}), term(larger(mg + mg - kOne, Int{}), rest2, Int{}));
    Int logarithm = v + (correction2 - kOne);
    Int half = (round_to_float(logarithm) - kStep) & (logarithm != 0);
    Int root = add_floats((round_to_integer(half) + kOne) & (v >= kMin), eps);
    Int mm = magnitude(m);
    Int quotient = mm + correction1 - root + kOne, step = quotient + lr;
    step = (step & (smaller(smaller(step, quotient), mm) >= kMin)) | sign_of(m);
    Int shrunk = as_int(as_float(param) - as_float(term(magnitude(param), decay, param)));
    param = as_int(as_float(shrunk) - as_float(step));
  }

  Int lr, beta1, beta2, rest1, rest2, decay, eps, correction1, correction2;
  bool applies;
};

__attribute__((noinline)) void run_general(const AdamWStep& step, Int& param, Int grad, Int& m, Int& v) {
  step.run(param, grad, m, v);
}

constexpr std::int64_t kTask = 1 << 14;
constexpr std::int64_t kAhead = 256;  // the hardware fetches ahead within a page only, and a page is soon done

}  // namespace

void adamw(float* param, const float* grad, float* exp_avg, float* exp_avg_sq, std::int64_t n, AdamWScalars scalars,
           int threads) {
  parallel_for(threads, (n + kTask - 1) / kTask, [&](std::int64_t task) {
    const AdamWStep step(scalars);
    const TameAdamWStep tame(step);
    const std::int64_t begin = task * kTask;
    walk(std::min(kTask, n - begin), [&](std::int64_t offset, auto span) {
      const std::int64_t i = begin + offset;
      __builtin_prefetch(param + i + kAhead);
      __builtin_prefetch(grad + i + kAhead);
      __builtin_prefetch(exp_avg + i + kAhead);
      __builtin_prefetch(exp_avg_sq + i + kAhead);
      Int p = span.load(param + i), g = span.load(grad + i), m = span.load(exp_avg + i), v = span.load(exp_avg_sq + i);
      if (tame.accepts(p, g, m, v)) [[likely]] {
        tame.run(p, g, m, v);
        span.store(param + i, p);
        span.store(exp_avg + i, m);
        span.store(exp_avg_sq + i, v);
        return;
      }
      Int p2 = p, m2 = m, v2 = v;  // copies, lest the fast path's values live in memory
      run_general(step, p2, g, m2, v2);
      span.store(param + i, p2);
      span.store(exp_avg + i, m2);
      span.store(exp_avg_sq + i, v2);
    });
  });
}

}  // namespace mulfree::MF_TARGET
