#include "dispatch.hpp"

#include <atomic>
#include <stdexcept>

namespace mulfree {

#define MF_DECLARE(target)                               \
  namespace target {                                     \
  extern const MatmulKernels matmul_kernels;             \
  extern const ElementwiseKernels elementwise_kernels;   \
  extern const RowKernels row_kernels;                   \
  extern const StepKernels step_kernels;                 \
  extern const ConvolutionKernels convolution_kernels;   \
  }
#define MF_TARGET_ENTRY(target, test)                                                                      \
  Target {                                                                                                 \
    #target, test, &target::matmul_kernels, &target::elementwise_kernels, &target::row_kernels,            \
        &target::step_kernels, &target::convolution_kernels                                                \
  }

MF_DECLARE(baseline)
#if defined(__x86_64__)
MF_DECLARE(avx2)
MF_DECLARE(avx512)
#endif
#if defined(MF_WIDE_TARGET)
MF_DECLARE(wide)
#endif

const std::vector<Target>& targets() {
  static const std::vector<Target> all = {
#if defined(__x86_64__)
      MF_TARGET_ENTRY(avx512,
                      [] {
                        return bool(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"));
                      }),
      MF_TARGET_ENTRY(avx2, [] { return bool(__builtin_cpu_supports("avx2")); }),
#endif
      MF_TARGET_ENTRY(baseline, [] { return true; }),
#if defined(MF_WIDE_TARGET)
      MF_TARGET_ENTRY(wide, [] { return true; }),  // after one that is always supported: never chosen by itself
#endif
  };
  return all;
}

namespace {

const Target* best() {
  for (const Target& target : targets())
    if (target.supported()) return &target;
  throw std::logic_error("no target is supported");
}

std::atomic<const Target*> chosen{nullptr};

}  // namespace

const Target& current() {
  const Target* target = chosen.load();
  if (!target) chosen = target = best();
  return *target;
}

void choose(const std::string& name) {
  for (const Target& target : targets()) {
    if (name != target.name) continue;
    if (!target.supported()) throw std::invalid_argument("this processor has no " + name);
    chosen = &target;
    return;
  }
  throw std::invalid_argument("unknown target " + name);
}

}  // namespace mulfree
