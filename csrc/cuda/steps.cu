// The optimizers' steps, one pass over parameters, gradients and state. MF_STEP is a step of step_formulas.hpp.
#include "step_formulas.hpp"

namespace mulfree::MF_TARGET {

constexpr int kThreads = 256;
constexpr int kMostTensors = 5;
constexpr int kMostScalars = 8;

struct StepArgs {
  std::int32_t* tensors[kMostTensors];
  std::int64_t count, quads;  // quads: groups of four elements with addresses that are multiples of 16 bytes
  std::int64_t scalars[kMostScalars];  // words
};

template <class Scalars>
inline Scalars scalars_of(const StepArgs& args) {
  constexpr int count = sizeof(Scalars) / sizeof(std::int32_t);
  static_assert(count <= kMostScalars);
  Scalars found;
  auto* const words = reinterpret_cast<std::int32_t*>(&found);
  MF_UNROLL
  for (int i = 0; i < count; ++i) words[i] = static_cast<std::int32_t>(args.scalars[i]);
  return found;
}

MF_KERNEL(step, StepArgs, kThreads) {
  using Step = MF_STEP;
  const Step step(scalars_of<Step::Scalars>(args));
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
      step.run<GeneralStep>(x);
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
    step.run<GeneralStep>(x);
    MF_UNROLL
    for (int k = 0; k < Step::kTensors; ++k)
      if (k != 1) args.tensors[k][i] = x[k].v;
  }
}

}  // namespace mulfree::MF_TARGET
