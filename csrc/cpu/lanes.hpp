// What vector types cannot say by themselves, each with a plain fallback: conversion with rounding, tests over all
// lanes, partial loads and stores. The branches of __AVX512F__ are the only code for 16 lanes that the target
// `wide` does not run (docs/architecture.md, Testing).
#pragma once
#include "simd.hpp"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mulfree::MF_TARGET {

inline Int select(Int mask, Int yes, Int no) { return mask ? yes : no; }
inline Int smaller(Int a, Int b) { return a < b ? a : b; }
inline Int larger(Int a, Int b) { return a > b ? a : b; }
inline Int smaller_unsigned(Int a, Int b) { return (Int)((Unsigned)a < (Unsigned)b ? (Unsigned)a : (Unsigned)b); }
inline Int larger_unsigned(Int a, Int b) { return (Int)((Unsigned)a > (Unsigned)b ? (Unsigned)a : (Unsigned)b); }
inline Int at_least_unsigned(Int a, Int b) { return (Unsigned)a >= (Unsigned)b; }

// The operand that a comparison of floats prefers; not for NaN.
inline Int smaller_float(Int a, Int b) { return as_int(as_float(a) < as_float(b) ? as_float(a) : as_float(b)); }
inline Int larger_float(Int a, Int b) { return as_int(as_float(a) > as_float(b) ? as_float(a) : as_float(b)); }

// Four lanes at a time, for vectors of any length.
#if defined(__x86_64__)
inline bool any_of_four(Four mask) { return _mm_movemask_ps((__m128)mask) != 0; }
inline Four round_four(Four v) { return (Four)_mm_cvtps_epi32((__m128)v); }
#else
inline bool any_of_four(Four mask) { return vmaxvq_u32((uint32x4_t)mask) != 0; }
inline Four round_four(Four v) { return (Four)vcvtnq_s32_f32((float32x4_t)v); }
#endif

// True if a lane of a mask (all ones or all zeros in a lane) is set.
inline bool any(Int mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  Four parts[kLanes / 4], all{};
  std::memcpy(parts, &mask, sizeof mask);
  for (const Four part : parts) all |= part;
  return any_of_four(all);
#endif
}

// Floats within the range of int32 to integers, half to even.
inline Int round_to_integer(Int v) {
#if defined(__AVX512F__)
  return (Int)_mm512_maskz_cvtps_epi32(static_cast<__mmask16>(-1), (__m512)v);  // every lane
#elif defined(__AVX2__)
  return (Int)_mm256_cvtps_epi32((__m256)v);
#else
  Four parts[kLanes / 4];
  std::memcpy(parts, &v, sizeof v);
  for (Four& part : parts) part = round_four(part);
  return load(&parts[0][0]);
#endif
}

// Integers to floats, rounded half to even.
inline Int round_to_float(Int v) { return as_int(__builtin_convertvector(v, Float)); }

inline Int lane_numbers() {
  Int v;
  for (int i = 0; i < kLanes; ++i) v[i] = i;
  return v;
}

// The first `count` lanes, 0 < count <= kLanes.
inline Int first_lanes(std::int64_t count) { return lane_numbers() < splat(static_cast<std::int32_t>(count)); }

// Loads the lanes of `part`, a mask made by first_lanes; the others are zero and their memory is not touched.
template <class T>
inline Int load_part(const T* source, Int part) {
  static_assert(sizeof(T) == 4);
#if defined(__AVX512F__)
  return (Int)_mm512_maskz_loadu_epi32(_mm512_movepi32_mask((__m512i)part), source);
#elif defined(__AVX2__)
  return (Int)_mm256_maskload_epi32(reinterpret_cast<const int*>(source), (__m256i)part);
#else
  Int v{};
  for (int i = 0; i < kLanes && part[i]; ++i) std::memcpy(reinterpret_cast<char*>(&v) + 4 * i, source + i, 4);
  return v;
#endif
}

template <class T>
inline void store_part(T* target, Int part, Int v) {
  static_assert(sizeof(T) == 4);
#if defined(__AVX512F__)
  _mm512_mask_storeu_epi32(target, _mm512_movepi32_mask((__m512i)part), (__m512i)v);
#elif defined(__AVX2__)
  _mm256_maskstore_epi32(reinterpret_cast<int*>(target), (__m256i)part, (__m256i)v);
#else
  for (int i = 0; i < kLanes && part[i]; ++i) std::memcpy(target + i, reinterpret_cast<const char*>(&v) + 4 * i, 4);
#endif
}

}  // namespace mulfree::MF_TARGET
