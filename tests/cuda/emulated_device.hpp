// Thread blocks on the processor: what csrc/cuda needs of CUDA C++ as plain C++, one fiber a thread, one block after
// the other. Float additions run with denormals flushed, as the kernels' are on the device.
#pragma once
#include <cstdint>
#include <cstring>

#define MF_KERNEL(name, Args, most)                            \
  static void name##_body(const Args& args);                   \
  extern "C" std::uint64_t name##_bytes() { return sizeof(Args); } \
  extern "C" void name(const void* args) {                     \
    if (blockDim.x > most) return emulated::report_too_many(); \
    name##_body(*static_cast<const Args*>(args));              \
  }                                                            \
  static void name##_body([[maybe_unused]] const Args& args)
// With room behind it, so that the end of an array is not the beginning of the next.
#if defined(MF_APART)
#define MF_SHARED static __attribute__((aligned(MF_APART)))
#else
#define MF_SHARED static
#endif
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
// What a thread waits for. Of those of a warp, only `warp` orders what its lanes do to memory.
enum class Barrier { block, block_or, warp, vote, exchange };
void wait_for_block(Barrier kind);
bool any_of_block(bool value);
// Exchanges a word with the other lanes of the warp; all of them call it.
std::uint32_t exchange(unsigned mask, std::uint32_t word, int source_lane);
bool any_of_warp(unsigned mask, bool value, Barrier kind);
// A block has more threads than its kernel is compiled for.
void report_too_many();
// Before memory is read that no thread of the launch may write.
void read_constant(const void* address, std::size_t bytes);
inline int lane() { return static_cast<int>(current->thread.x % 32); }
}  // namespace emulated

#define threadIdx (emulated::current->thread)
#define blockIdx (emulated::current->block)
#define blockDim (emulated::current->threads)
#define gridDim (emulated::current->blocks)

inline void __syncthreads() { emulated::wait_for_block(emulated::Barrier::block); }
inline int __syncthreads_or(int value) { return emulated::any_of_block(value != 0); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulated::any_of_warp(mask, false, emulated::Barrier::warp); }
inline int __shfl_sync(unsigned mask, int v, int source) {
  return static_cast<int>(emulated::exchange(mask, static_cast<std::uint32_t>(v), source & 31));
}
inline int __shfl_down_sync(unsigned mask, int v, int delta) {
  const int lane = emulated::lane(), source = lane + delta < 32 ? lane + delta : lane;
  return static_cast<int>(emulated::exchange(mask, static_cast<std::uint32_t>(v), source));
}
inline int __shfl_xor_sync(unsigned mask, int v, int other) {
  return static_cast<int>(emulated::exchange(mask, static_cast<std::uint32_t>(v), emulated::lane() ^ other));
}
inline int __any_sync(unsigned mask, int value) {
  return emulated::any_of_warp(mask, value != 0, emulated::Barrier::vote);
}
inline int __all_sync(unsigned mask, int value) {
  return !emulated::any_of_warp(mask, value == 0, emulated::Barrier::vote);
}
template <class T>
inline T __ldg(const T* from) {
  emulated::read_constant(from, sizeof(T));
  return *from;
}

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
  return static_cast<int>(__builtin_nearbyintf(a));
}
inline float __int2float_rn(int a) { return static_cast<float>(a); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
