// The optimizers' steps (docs/spec.md, section 9), one pass over parameters, gradients and state. MF_STEP is one of
// the structs below: x[0] is the parameter, x[1] the gradient, which stays, then the state as it is handed over.
#include "step_arithmetic.hpp"

namespace mulfree::MF_TARGET {

using A = GeneralStep;
constexpr int kThreads = 256;
constexpr int kMostTensors = 5;
constexpr int kMostScalars = 8;

struct StepArgs {
  std::int32_t* tensors[kMostTensors];
  std::int64_t count, quads;  // quads: groups of four elements with addresses that are multiples of 16 bytes
  std::int64_t scalars[kMostScalars];  // words
  Factor factor(int i) const { return Factor(static_cast<std::int32_t>(scalars[i])); }
};

// The gradient of the loss with an L2 penalty.
inline Int decayed(Int grad, Int param, const Factor& weight_decay) {
  return weight_decay.zero ? grad : A::add(grad, A::times(param, weight_decay));
}
inline Int descend(Int param, const Factor& rate, Int direction) {
  return A::subtract(param, A::times(direction, rate));
}
inline Int toward(Int average, Int target, const Factor& share) {
  return A::add(average, A::times(A::subtract(target, average), share));
}

// average * beta + x * (1 - beta)
struct Blend {
  explicit Blend(const Factor& f) : beta(f), rest(subtract(splat(kOne), beta.bits)) {}
  Int run(Int average, Int x) const { return A::add(A::times(average, beta), A::times(x, rest)); }
  Factor beta, rest;
};

// Scalars: lr, momentum, rest, weight decay.
template <bool has_buffer, bool nesterov>
struct SGD {
  static constexpr int kTensors = 2 + has_buffer;
  explicit SGD(const StepArgs& a) : lr(a.factor(0)), momentum(a.factor(1)), rest(a.factor(2)), decay(a.factor(3)) {}
  void run(Int* x) const {
    Int g = decayed(x[1], x[0], decay);
    if constexpr (has_buffer) {
      x[2] = A::add(A::times(x[2], momentum), A::times(g, rest));
      g = nesterov ? A::add(g, A::times(x[2], momentum)) : x[2];
    }
    x[0] = descend(x[0], lr, g);
  }
  Factor lr, momentum, rest, decay;
};

// Averages of gradients and of squares, with amsgrad also the largest of the latter. Scalars: lr, beta1, beta2, eps,
// decay (of AdamW), correction1, correction2, weight decay (of Adam).
template <bool amsgrad>
struct Adam {
  static constexpr int kTensors = 4 + amsgrad;
  explicit Adam(const StepArgs& a)
      : first(a.factor(1)), second(a.factor(2)), lr(a.factor(0)), eps(a.factor(3)), decay(a.factor(4)),
        correction1(a.factor(5)), correction2(a.factor(6)), weight_decay(a.factor(7)) {}
  void run(Int* x) const {
    const Int g = decayed(x[1], x[0], weight_decay);
    x[2] = first.run(x[2], g);
    x[3] = second.run(x[3], A::square(g));
    Int v = x[3];
    if constexpr (amsgrad) v = x[4] = A::larger(x[4], v);
    const Int root = A::add(A::root(v, correction2), eps.bits);
    x[0] = descend(descend(x[0], decay, x[0]), lr, A::over(x[2], correction1, root));
  }
  Blend first, second;
  Factor lr, eps, decay, correction1, correction2, weight_decay;
};

// An average of squares, centered also one of gradients, and a buffer. Scalars: lr, alpha, eps, weight decay, momentum.
template <bool centered, bool has_buffer>
struct RMSprop {
  static constexpr int kTensors = 3 + centered + has_buffer, kSquare = 2, kMiddle = 3, kBuffer = 3 + centered;
  explicit RMSprop(const StepArgs& a)
      : blend(a.factor(1)), lr(a.factor(0)), eps(a.factor(2)), weight_decay(a.factor(3)), momentum(a.factor(4)),
        one(kOne) {}
  void run(Int* x) const {
    const Int g = decayed(x[1], x[0], weight_decay);
    Int variance;
    if constexpr (centered) {
      const Int before = A::subtract(x[kSquare], A::square(x[kMiddle])), distance = A::subtract(g, x[kMiddle]);
      x[kMiddle] = toward(x[kMiddle], g, blend.rest);
      variance = A::times(A::add(before & ~(before < 0), A::times(A::square(distance), blend.rest)), blend.beta);
      x[kSquare] = A::add(variance, A::square(x[kMiddle]));
    } else {
      variance = x[kSquare] = blend.run(x[kSquare], A::square(g));
    }
    Int step = A::over(g, one, A::add(A::root(variance, one), eps.bits));
    if constexpr (has_buffer) step = x[kBuffer] = A::add(A::times(x[kBuffer], momentum), step);
    x[0] = descend(x[0], lr, step);
  }
  Blend blend;
  Factor lr, eps, weight_decay, momentum, one;
};

// Scalars: lr, beta1, beta2, decay.
struct Lion {
  static constexpr int kTensors = 3;
  explicit Lion(const StepArgs& a)
      : direction(a.factor(1)), average(a.factor(2)), lr(a.factor(0)), decay(a.factor(3)) {}
  void run(Int* x) const {
    const Int sign = A::sign(direction.run(x[2], x[1]));
    x[2] = average.run(x[2], x[1]);
    x[0] = descend(descend(x[0], decay, x[0]), lr, sign);
  }
  Blend direction, average;
  Factor lr, decay;
};

// x[0] is the average and x[1] the parameter. Scalar: the share.
struct Average {
  static constexpr int kTensors = 2;
  explicit Average(const StepArgs& a) : share(a.factor(0)) {}
  void run(Int* x) const { x[0] = toward(x[0], x[1], share); }
  Factor share;
};

struct alignas(16) Quad {
  std::int32_t words[4];
};

MF_KERNEL(step, StepArgs, kThreads) {
  using Step = MF_STEP;
  const Step step(args);
  MF_ROLLED
  for (std::int64_t i = global_thread(); i < args.quads; i += all_threads()) {
    Quad quads[Step::kTensors];
    MF_UNROLL
    for (int k = 0; k < Step::kTensors; ++k) quads[k] = reinterpret_cast<const Quad*>(args.tensors[k])[i];
    MF_UNROLL
    for (int j = 0; j < 4; ++j) {
      Int x[Step::kTensors];
      MF_UNROLL
      for (int k = 0; k < Step::kTensors; ++k) x[k] = quads[k].words[j];
      step.run(x);
      MF_UNROLL
      for (int k = 0; k < Step::kTensors; ++k) quads[k].words[j] = x[k].v;
    }
    MF_UNROLL
    for (int k = 0; k < Step::kTensors; ++k)
      if (k != 1) reinterpret_cast<Quad*>(args.tensors[k])[i] = quads[k];
  }
  MF_ROLLED
  for (std::int64_t i = 4 * args.quads + global_thread(); i < args.count; i += all_threads()) {
    Int x[Step::kTensors];
    MF_UNROLL
    for (int k = 0; k < Step::kTensors; ++k) x[k] = args.tensors[k][i];
    step.run(x);
    MF_UNROLL
    for (int k = 0; k < Step::kTensors; ++k)
      if (k != 1) args.tensors[k][i] = x[k].v;
  }
}

}  // namespace mulfree::MF_TARGET
