// The optimizers' steps (docs/spec.md, section 9), but for the CPU's AdamW. A step is an array of vectors: x[0] the
// parameter, x[1] the gradient, which stays, then the state. `A` is one of the forms of step_arithmetic.hpp; `is_tame`
// tells whether the step's factors suit TameStep.
#pragma once
#include "step_arithmetic.hpp"
#include "step_scalars.hpp"

namespace mulfree::MF_TARGET {

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
  using Scalars = SGDScalars;
  static constexpr int kTensors = 2 + has_buffer;

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

// Averages of gradients and of squares; with amsgrad also the largest of the latter.
template <bool amsgrad>
struct AdamStep {
  using Scalars = AdamScalars;
  static constexpr int kTensors = 4 + amsgrad;

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

// Centered: an average of gradients; with momentum a buffer; an average of squares.
template <bool centered, bool has_buffer>
struct RMSpropStep {
  using Scalars = RMSpropScalars;
  static constexpr int kTensors = 3 + centered + has_buffer;

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

struct LionStep {
  using Scalars = LionScalars;
  static constexpr int kTensors = 3;

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

// x[0] is the average, x[1] the parameter.
struct AverageStep {
  using Scalars = AverageScalars;
  static constexpr int kTensors = 2;

  explicit AverageStep(const AverageScalars& s) : share(s.share), is_tame(share.multiplies) {}

  template <class A, class X>
  void run(X& x) const { x[0] = toward<A>(x[0], x[1], share); }

  Factor share;
  bool is_tame;
};

}  // namespace mulfree::MF_TARGET
