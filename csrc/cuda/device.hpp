// How kernels are declared and launched. Every kernel has one parameter, a struct of 64-bit fields, so that callers
// pass a list of integers. Unmarked functions are device functions (NVRTC's -default-device).
//
// Loops over a grid are rolled: to unroll one, the compiler would compute the number of its turns, a quotient, with the
// unit for reciprocals.
//
// The same sources also compile as plain C++ against an emulation of thread blocks; that is how they are tested
// without a device.
#pragma once
#include <cstdint>

#if defined(__CUDACC__)
#define MF_KERNEL(name, Args, threads) extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args args)
#define MF_SHARED __shared__
#define MF_UNROLL _Pragma("unroll")
#define MF_ROLLED _Pragma("unroll 1")
#else
#include "emulated_device.hpp"
#endif

namespace mulfree {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

inline std::int64_t global_thread() { return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
inline std::int64_t all_threads() { return std::int64_t{gridDim.x} * blockDim.x; }

// Words that are read or written at once, at multiples of 16 bytes.
struct alignas(16) Quad {
  std::int32_t words[4];
};

// Division of n by a divisor known to the host, as a multiplication of integers: an integer division would use the
// unit for reciprocals. Any n below 2^62.
struct Divider {
  std::uint64_t multiplier;  // ceil(2^(62 + shift) / divisor)
  std::int64_t shift;        // ceil(log2(divisor))
  std::int64_t divisor;

  std::int64_t quotient(std::int64_t n) const {
    return static_cast<std::int64_t>(__umul64hi(static_cast<std::uint64_t>(n) << 2, multiplier) >> shift);
  }
  // n becomes the quotient; returns the remainder.
  std::int64_t divide(std::int64_t* n) const {
    const std::int64_t whole = *n;
    *n = quotient(whole);
    return whole - *n * divisor;
  }
};

}  // namespace mulfree
