// The law on one number (docs/spec.md, sections 2, 4 and 5), for the rare cases that no vector loop covers.
#pragma once
#include <cstdint>

#include "law.hpp"

namespace mulfree {

inline std::int32_t finish(std::int32_t sign, std::int64_t total) {
  if (total < kMin) return sign;
  return sign | (total > kInf ? kInf : static_cast<std::int32_t>(total));
}

inline std::int64_t floor_step(std::int64_t total) { return total & -std::int64_t{kStep}; }

// IEEE result of a product with special operands; true if there is one.
inline bool special_product(std::int32_t sign, std::int32_t a, std::int32_t b, std::int32_t* result) {
  const std::int32_t ma = a & kMagnitude, mb = b & kMagnitude;
  const bool zero = ma < kMin || mb < kMin, infinite = ma == kInf || mb == kInf;
  if (ma > kInf || mb > kInf || (zero && infinite)) return *result = kNan, true;
  if (infinite) return *result = sign | kInf, true;
  return zero ? (*result = sign, true) : false;
}

inline std::int32_t mul(std::int32_t a, std::int32_t b, std::int32_t offset) {
  const std::int32_t sign = (a ^ b) & kSign;
  std::int32_t result;
  if (special_product(sign, a, b, &result)) return result;
  return finish(sign, std::int64_t{a & kMagnitude} + (b & kMagnitude) - kOne + offset);
}

// Exact derivative of mul(a, b) by a, times grad.
inline std::int32_t mul_grad(std::int32_t grad, std::int32_t a, std::int32_t b, std::int32_t offset) {
  const std::int32_t ma = a & kMagnitude, sign = (b ^ grad) & kSign;
  std::int32_t result;
  if (ma > kInf) return kNan;
  if (special_product(sign, b, grad, &result)) return result;
  const std::int64_t mantissa = ma < kMin ? 0 : ma & kMantissa;
  return finish(sign, floor_step(mantissa + (b & kMagnitude) + offset) + (grad & kMagnitude) - kOne);
}

}  // namespace mulfree
