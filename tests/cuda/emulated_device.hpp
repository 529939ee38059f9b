// Thread blocks on the processor: what csrc/cuda needs of CUDA C++ as plain C++, one fiber a thread, one block after
// the other. Float additions run with denormals flushed, as the kernels' are on the device.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#define MF_KERNEL(name, Args, threads)                                                \
  static void name##_body(const Args& args);                                          \
  extern "C" void name(const void* args) { name##_body(*static_cast<const Args*>(args)); } \
  static void name##_body([[maybe_unused]] const Args& args)
#define MF_SHARED static
#define MF_UNROLL
#define MF_ROLLED

namespace emulated {
struct Index {
  std::uint32_t x, y, z;
};
struct Thread {
  Index thread, block, threads, blocks;
};
extern Thread* current;
void wait_for_block();
// Exchanges a word with the other lanes of the warp; all of them call it.
std::uint32_t exchange(std::uint32_t word, int source_lane);
bool any_of_warp(bool value);
bool any_of_block(bool value);
inline int lane() { return static_cast<int>(current->thread.x % 32); }
}  // namespace emulated

#define threadIdx (emulated::current->thread)
#define blockIdx (emulated::current->block)
#define blockDim (emulated::current->threads)
#define gridDim (emulated::current->blocks)

inline void __syncthreads() { emulated::wait_for_block(); }
inline int __syncthreads_or(int value) { return emulated::any_of_block(value != 0); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulated::any_of_warp(false); }
inline int __shfl_sync(unsigned, int v, int source) {
  return static_cast<int>(emulated::exchange(static_cast<std::uint32_t>(v), source & 31));
}
inline int __shfl_down_sync(unsigned, int v, int delta) {
  const int source = emulated::lane() + delta;
  return static_cast<int>(emulated::exchange(static_cast<std::uint32_t>(v), source < 32 ? source : emulated::lane()));
}
inline int __shfl_xor_sync(unsigned, int v, int mask) {
  return static_cast<int>(emulated::exchange(static_cast<std::uint32_t>(v), emulated::lane() ^ mask));
}
inline int __any_sync(unsigned, int value) { return emulated::any_of_warp(value != 0); }
inline int __all_sync(unsigned, int value) { return !emulated::any_of_warp(value == 0); }

inline float __int_as_float(int v) {
  float f;
  std::memcpy(&f, &v, sizeof f);
  return f;
}
inline int __float_as_int(float f) {
  int v;
  std::memcpy(&v, &f, sizeof v);
  return v;
}
inline float __fadd_rn(float a, float b) { return a + b; }
// NaN becomes 0 and what is out of range the nearest integer, as on the device.
inline int __float2int_rn(float a) {
  if (a != a) return 0;
  if (a >= 2147483648.0f) return INT32_MAX;
  if (a < -2147483648.0f) return INT32_MIN;
  return static_cast<int>(std::nearbyintf(a));
}
inline float __int2float_rn(int a) { return static_cast<float>(a); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
