// Kernels own the denormal mode: flush-to-zero and denormals-are-zero, rounding to nearest even.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mulfree {

// Sets the law's mode for the lifetime of the object, in this thread, and restores the caller's.
class FloatEnvironment {
 public:
#if defined(__x86_64__)
  FloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(kMaskedFlushing); }
  ~FloatEnvironment() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kMaskedFlushing = 0x1f80u | 0x8000u | 0x0040u;  // all masked, FTZ, DAZ, nearest
  unsigned saved_;
#elif defined(__aarch64__)
  FloatEnvironment() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(kFlushing));
  }
  ~FloatEnvironment() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  static constexpr std::uint64_t kFlushing = std::uint64_t{1} << 24;  // FZ, nearest
  std::uint64_t saved_;
#else
#error "mulfree's kernels know the denormal mode of x86-64 and AArch64 only"
#endif

 public:
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;
};

}  // namespace mulfree
