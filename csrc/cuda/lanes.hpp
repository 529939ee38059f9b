// The law's vectors with a single lane: a thread's words. Comparisons give masks, all ones or zeros, as those of vector
// types do, so that the formulas in csrc/law serve both.
#pragma once
#include "device.hpp"
#include "law.hpp"

namespace mulfree::MF_TARGET {

constexpr int kLanes = 1;

struct Int {
  std::int32_t v = 0;
  Int() = default;
  Int(std::int32_t word) : v(word) {}
  std::int32_t operator[](int) const { return v; }
};

struct Unsigned {
  std::uint32_t v = 0;
  Unsigned() = default;
  Unsigned(std::uint32_t word) : v(word) {}
  explicit Unsigned(Int word) : v(static_cast<std::uint32_t>(word.v)) {}
  explicit operator Int() const { return Int(static_cast<std::int32_t>(v)); }
};

struct Float {
  float v = 0;
};

inline std::uint32_t raw(Int a) { return static_cast<std::uint32_t>(a.v); }
inline Int wrapped(std::uint32_t word) { return Int(static_cast<std::int32_t>(word)); }
inline Int mask(bool set) { return Int(-static_cast<std::int32_t>(set)); }

inline Int operator+(Int a, Int b) { return wrapped(raw(a) + raw(b)); }
inline Int operator-(Int a, Int b) { return wrapped(raw(a) - raw(b)); }
inline Int operator&(Int a, Int b) { return Int(a.v & b.v); }
inline Int operator|(Int a, Int b) { return Int(a.v | b.v); }
inline Int operator^(Int a, Int b) { return Int(a.v ^ b.v); }
inline Int operator~(Int a) { return Int(~a.v); }
inline Int operator<<(Int a, int places) { return wrapped(raw(a) << places); }
inline Int operator>>(Int a, int places) { return Int(a.v >> places); }
inline Int& operator+=(Int& a, Int b) { return a = a + b; }
inline Int& operator|=(Int& a, Int b) { return a = a | b; }
inline Int operator<(Int a, Int b) { return mask(a.v < b.v); }
inline Int operator>(Int a, Int b) { return mask(a.v > b.v); }
inline Int operator<=(Int a, Int b) { return mask(a.v <= b.v); }
inline Int operator>=(Int a, Int b) { return mask(a.v >= b.v); }
inline Int operator==(Int a, Int b) { return mask(a.v == b.v); }
inline Int operator!=(Int a, Int b) { return mask(a.v != b.v); }

inline Unsigned operator+(Unsigned a, Unsigned b) { return Unsigned(a.v + b.v); }
inline Unsigned operator|(Unsigned a, Unsigned b) { return Unsigned(a.v | b.v); }
inline Unsigned operator^(Unsigned a, Unsigned b) { return Unsigned(a.v ^ b.v); }
inline Unsigned operator<<(Unsigned a, int places) { return Unsigned(a.v << places); }
inline Unsigned operator>>(Unsigned a, int places) { return Unsigned(a.v >> places); }
inline Unsigned& operator+=(Unsigned& a, Unsigned b) { return a = a + b; }
inline Int operator>=(Unsigned a, Unsigned b) { return mask(a.v >= b.v); }

inline Int splat(std::int32_t value) { return Int(value); }
inline Float as_float(Int a) { return {__int_as_float(a.v)}; }
inline Int as_int(Float a) { return Int(__float_as_int(a.v)); }
inline Float operator+(Float a, Float b) { return {__fadd_rn(a.v, b.v)}; }
inline Float operator+(Float a, float b) { return {__fadd_rn(a.v, b)}; }
inline Float operator-(Float a, Float b) { return {__fadd_rn(a.v, -b.v)}; }
inline Float operator-(Float a, float b) { return {__fadd_rn(a.v, -b)}; }
inline Int operator<(Float a, Float b) { return mask(a.v < b.v); }
inline Int operator>(Float a, Float b) { return mask(a.v > b.v); }
inline Int operator!=(Float a, Float b) { return mask(a.v != b.v); }
inline Int add_floats(Int a, Int b) { return as_int(as_float(a) + as_float(b)); }

inline Int select(Int mask, Int yes, Int no) { return mask.v ? yes : no; }
inline Int smaller(Int a, Int b) { return a.v < b.v ? a : b; }
inline Int larger(Int a, Int b) { return a.v > b.v ? a : b; }
inline Int smaller_unsigned(Int a, Int b) { return raw(a) < raw(b) ? a : b; }
inline Int larger_unsigned(Int a, Int b) { return raw(a) > raw(b) ? a : b; }
inline Int at_least_unsigned(Int a, Int b) { return mask(raw(a) >= raw(b)); }
inline Int smaller_float(Int a, Int b) { return __int_as_float(a.v) < __int_as_float(b.v) ? a : b; }
inline Int larger_float(Int a, Int b) { return __int_as_float(a.v) > __int_as_float(b.v) ? a : b; }
inline bool any(Int mask) { return mask.v != 0; }

// Floats within the range of int32 to integers, half to even; and back.
inline Int round_to_integer(Int a) { return Int(__float2int_rn(__int_as_float(a.v))); }
inline Int round_to_float(Int a) { return Int(__float_as_int(__int2float_rn(a.v))); }

}  // namespace mulfree::MF_TARGET
