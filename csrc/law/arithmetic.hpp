// The law's operations on vectors (docs/spec.md, sections 2 to 5), complete with special values and free of
// branches but for rare ones. Additions rely on the float environment that parallel_for sets.
#pragma once
#include "lanes.hpp"

namespace mulfree::MF_TARGET {

inline Int magnitude(Int a) { return a & kMagnitude; }
inline Int sign_of(Int a) { return a & kSign; }
inline Int is_zero(Int magnitude) { return magnitude < kMin; }
inline Int is_infinite(Int magnitude) { return magnitude == kInf; }
inline Int is_nan(Int magnitude) { return magnitude > kInf; }
inline Int is_special(Int magnitude) { return magnitude >= kInf; }

inline Int canonical(Int a) { return select(is_nan(magnitude(a)), splat(kNan), a); }
inline Int negate(Int a) { return canonical(a ^ kSign); }
inline Int flush(Int a) { return a & (~(magnitude(a) < kMin) | kSign); }
inline Int add(Int a, Int b) { return canonical(add_floats(a, b)); }
inline Int subtract(Int a, Int b) { return canonical(as_int(as_float(a) - as_float(b))); }

// Totals that stay within int32 before the clamp at infinity, which the caller has done.
inline Int flush_total(Int total) { return total & (total >= kMin); }

// Compensation as the clamping thresholds of the unsigned sum of two magnitudes.
struct Offset {
  explicit Offset(std::int32_t offset)
      : bias(splat(kOne - offset)), least(splat(kMin) + bias), infinite(splat(kInf) + bias), alpha(splat(kOne + offset)) {}
  Int bias, least, infinite, alpha;
};

inline Int product_special(Int result, Int sign, Int low, Int high) {
  result = select(is_special(high), sign | kInf, result);
  return select(is_nan(high) | (is_infinite(high) & is_zero(low)), splat(kNan), result);
}

inline Int mul(Int a, Int b, const Offset& offset) {
  Int ma = magnitude(a), mb = magnitude(b), sign = sign_of(a ^ b);
  Int low = smaller(ma, mb), high = larger(ma, mb), sum = ma + mb;
  Int total = smaller_unsigned(sum, offset.infinite) - offset.bias;
  Int result = (total & (low >= kMin) & at_least_unsigned(sum, offset.least)) | sign;
  if (any(is_special(high))) [[unlikely]] return product_special(result, sign, low, high);
  return result;
}

inline Int mul(Int a, Int b) { return mul(a, b, Offset(0)); }

// grad magnitude times 2^k for any k, clamped once; zero stays zero.
inline Int scale_by_power(Int grad, Int k) {
  Int step = larger(smaller(k, splat(255)), splat(-256)) << 23;
  Int total = smaller(step, kInf - grad) + grad;
  return total & (smaller(total, grad) >= kMin);
}

// The mantissa field; 0 for zeros, denormals and infinities.
inline Int mantissa(Int a) { return a & kMantissa & (magnitude(a) >= kMin); }

inline Int mul_grad(Int grad, Int a, Int b, const Offset& offset) {
  Int mb = magnitude(b), mg = magnitude(grad), sign = sign_of(b ^ grad);
  Int low = smaller(mb, mg), high = larger(mb, mg);
  Int slope = (Int)((Unsigned)(mantissa(a) + mb + offset.alpha) >> 23) - 254;
  Int result = (scale_by_power(mg, slope) & (low >= kMin)) | sign;
  Int a_is_nan = is_nan(magnitude(a));
  if (any(is_special(high) | a_is_nan)) [[unlikely]]
    return select(a_is_nan, splat(kNan), product_special(result, sign, low, high));
  return result;
}

inline Int mul_grad(Int grad, Int a, Int b) { return mul_grad(grad, a, b, Offset(0)); }

// top / bottom where one of them (magnitudes) is zero, infinite or NaN; `result` elsewhere.
inline Int quotient_special(Int result, Int sign, Int top, Int bottom) {
  Int infinite = is_infinite(top) | is_zero(bottom);
  Int zero = is_zero(top) | is_infinite(bottom);
  result = select(zero, sign, select(infinite, sign | kInf, result));
  return select(is_nan(top) | is_nan(bottom) | (zero & infinite), splat(kNan), result);
}

inline Int quotient_is_special(Int top, Int bottom) { return is_special(top) | is_special(bottom) | is_zero(bottom); }

inline Int div(Int a, Int b) {
  Int ma = magnitude(a), mb = magnitude(b), sign = sign_of(a ^ b);
  Int total = smaller(ma - mb, splat(kInf - kOne)) + kOne;
  Int result = (total & (smaller(total, ma) >= kMin)) | sign;
  if (any(quotient_is_special(ma, mb))) [[unlikely]] return quotient_special(result, sign, ma, mb);
  return result;
}

inline Int div_grad_numerator(Int grad, Int a, Int b) {
  Int mb = magnitude(b), mg = magnitude(grad), sign = sign_of(b ^ grad);
  Int result = scale_by_power(mg, ((mantissa(a) - mb) >> 23) + 127) | sign;
  Int a_is_nan = is_nan(magnitude(a));
  if (any(quotient_is_special(mg, mb) | a_is_nan)) [[unlikely]]
    return select(a_is_nan, splat(kNan), quotient_special(result, sign, mg, mb));
  return result;
}

inline Int div_grad_denominator(Int grad, Int a, Int b) {
  Int ma = magnitude(a), mb = magnitude(b), mg = magnitude(grad), sign = sign_of(~(a ^ grad));
  Int slope = ((ma - mb) >> 23) - (mb >> 23) + 127;
  Int result = (scale_by_power(mg, slope) & (ma >= kMin)) | sign;
  if (any(quotient_is_special(ma, mb) | is_special(mg))) [[unlikely]] {
    Int top = magnitude(product_special(smaller(ma, mg), Int{}, smaller(ma, mg), larger(ma, mg)));
    return quotient_special(result, sign, top, mb);
  }
  return result;
}

inline Int div_grad_denominator_approximate(Int grad, Int a, Int b) { return negate(div(mul(a, grad), mul(b, b))); }

// round_half_even(x * 2^23) of x held within [least, most], themselves within [-256, 255].
inline Int fixed_point(Int x, float least, float most) {
  Int held = smaller_float(larger_float(x, as_int(Float{} + least)), as_int(Float{} + most));
  return round_to_integer(held + 23 * kStep);
}

inline Int exp2(Int x) {
  Int result = flush_total(fixed_point(x, -127.0f, 128.0f) + kOne);
  return select(is_nan(magnitude(x)), splat(kNan), result);
}

inline Int exp2_grad(Int grad, Int x) {
  Int mx = magnitude(x), mg = magnitude(grad), sign = sign_of(grad);
  Int result = scale_by_power(mg, fixed_point(x, -256.0f, 255.0f) >> 23) | sign;
  if (any(is_special(mx) | is_special(mg))) [[unlikely]] {
    Int factor = select(is_special(mx), select(x == (kInf | kSign), Int{}, mx), splat(kOne));
    return product_special(result, sign, smaller(factor, mg), larger(factor, mg));
  }
  return result;
}

inline Int exp2_grad_approximate(Int grad, Int x) { return mul(mul(exp2(x), splat(kLn2)), grad); }

inline Int log2(Int x) {
  Int fixed = x - kOne;
  Int result = (round_to_float(fixed) - 23 * kStep) & (fixed != 0);
  if (any(at_least_unsigned(x - kMin, splat(kInf - kMin)))) [[unlikely]] {
    Int mx = magnitude(x);
    result = select(is_infinite(x), splat(kInf), result);
    result = select(is_nan(mx) | (x < 0), splat(kNan), result);
    return select(is_zero(mx), splat(kInf | kSign), result);
  }
  return result;
}

inline Int log2_grad(Int grad, Int x) {
  Int mx = magnitude(x), mg = magnitude(grad), sign = sign_of(x ^ grad);
  Int result = scale_by_power(mg, 127 - (mx >> 23)) | sign;
  if (any(quotient_is_special(mg, mx))) [[unlikely]] return quotient_special(result, sign, mg, mx);
  return result;
}

inline Int log2_grad_approximate(Int grad, Int x) { return div(grad, mul(x, splat(kLn2))); }

// Largest whole number not above a.
inline Int floor(Int a) {
  Int small = flush(a);
  Int held = larger_float(smaller_float(small, as_int(Float{} + 8388608.0f)), as_int(Float{} - 8388608.0f));
  Int nearest = round_to_integer(held);
  Int below = nearest + (as_float(round_to_float(nearest)) > as_float(held));
  Int whole = select(below == 0, sign_of(small), round_to_float(below));
  return canonical(select(magnitude(small) >= 0x4b000000, small, whole));
}

}  // namespace mulfree::MF_TARGET
