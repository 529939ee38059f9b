// Vectors of MF_LANES words, as GCC/Clang vector types: + - & | ^ >> << compare and ?: work lane by lane.
#pragma once
#include <cstdint>
#include <cstring>

#include "law.hpp"
#include "targets.hpp"

namespace mulfree::MF_TARGET {

constexpr int kLanes = MF_LANES;
typedef std::int32_t Int __attribute__((vector_size(MF_LANES * 4)));
typedef std::uint32_t Unsigned __attribute__((vector_size(MF_LANES * 4)));
typedef float Float __attribute__((vector_size(MF_LANES * 4)));
typedef std::int32_t Four __attribute__((vector_size(16)));

inline Int splat(std::int32_t value) { return Int{} + value; }

template <class T>
inline Int load(const T* source) {
  static_assert(sizeof(T) == 4);
  Int v;
  std::memcpy(&v, source, sizeof v);
  return v;
}

template <class T>
inline void store(T* target, Int v) {
  static_assert(sizeof(T) == 4);
  std::memcpy(target, &v, sizeof v);
}

inline Four load_four(const std::int32_t* source) {
  Four v;
  std::memcpy(&v, source, sizeof v);
  return v;
}

inline void store_four(std::int32_t* target, Four v) { std::memcpy(target, &v, sizeof v); }

inline Float as_float(Int v) { return (Float)v; }
inline Int as_int(Float v) { return (Int)v; }
inline Int add_floats(Int a, Int b) { return as_int(as_float(a) + as_float(b)); }

}  // namespace mulfree::MF_TARGET
