// Three forms of the operations for the composed kernels. `General` is the law with every special value. `Tame` returns
// the same bits where no operand is NaN or infinite and no result overflows, which the kernels establish once for many
// operations; zeros and results that become too small are still handled. `Plain` returns the same bits where also no
// result becomes too small and no operand is zero. `unless_zero` closes a chain of operations on an incoming gradient:
// in the plain form, but for the sign of a zero, the gradient may be zero.
#pragma once
#include "functions.hpp"

namespace mulfree::MF_TARGET {

template <bool exact>
struct General {
  static Int mul(Int a, Int b) { return MF_TARGET::mul(a, b); }
  static Int div(Int a, Int b) { return MF_TARGET::div(a, b); }
  static Int add(Int a, Int b) { return MF_TARGET::add(a, b); }
  static Int d_mul(Int grad, Int a, Int b) { return MF_TARGET::d_mul<exact>(grad, a, b); }
  static Int d_numerator(Int grad, Int a, Int b) { return MF_TARGET::d_numerator<exact>(grad, a, b); }
  static Int d_denominator(Int grad, Int a, Int b) { return MF_TARGET::d_denominator<exact>(grad, a, b); }
  static Int unless_zero(Int, Int v) { return v; }
};

template <bool exact>
struct Tame {
  static Int finish(Int total, Int least, Int sign) { return (total & (smaller(total, least) >= kMin)) | sign_of(sign); }

  static Int mul(Int a, Int b) {
    Int ma = magnitude(a), mb = magnitude(b);
    return finish(ma + mb - kOne, smaller(ma, mb), a ^ b);
  }
  static Int div(Int a, Int b) {
    Int ma = magnitude(a);
    return finish(ma - magnitude(b) + kOne, ma, a ^ b);
  }
  static Int add(Int a, Int b) { return add_floats(a, b); }
  static Int d_mul(Int grad, Int a, Int b) {
    if constexpr (!exact) return mul(b, grad);
    Int mb = magnitude(b), mg = magnitude(grad);
    return finish(((mantissa(a) + mb) & ~kMantissa) + mg - kOne, smaller(mb, mg), b ^ grad);
  }
  static Int d_numerator(Int grad, Int a, Int b) {
    if constexpr (!exact) return div(grad, b);
    Int mg = magnitude(grad);
    return finish(((mantissa(a) - magnitude(b)) & ~kMantissa) + kOne + mg, mg, b ^ grad);
  }
  static Int d_denominator(Int grad, Int a, Int b) {
    if constexpr (!exact) return div(mul(a, grad), mul(b, b)) ^ kSign;
    Int ma = magnitude(a), mb = magnitude(b), mg = magnitude(grad);
    Int slope = ((ma - mb) & ~kMantissa) - (mb & ~kMantissa) + kOne;
    return finish(slope + mg, smaller(ma, mg), ~(a ^ grad));
  }
  static Int unless_zero(Int, Int v) { return v; }
};

// Whole words are added: the sign bits add modulo two, as signs do, and no magnitude reaches them.
template <bool exact>
struct Plain {
  static constexpr std::int32_t kField = ~kMantissa;

  static Int mul(Int a, Int b) { return a + b - kOne; }
  static Int div(Int a, Int b) { return a - b + kOne; }
  static Int add(Int a, Int b) { return add_floats(a, b); }
  static Int d_mul(Int grad, Int a, Int b) {
    if constexpr (!exact) return grad + b - kOne;
    return (((a & kMantissa) + b - kOne) & kField) + grad;
  }
  static Int d_numerator(Int grad, Int a, Int b) {
    if constexpr (!exact) return grad - b + kOne;
    return (((a & kMantissa) - b + kOne) & kField) + grad;
  }
  static Int d_denominator(Int grad, Int a, Int b) {
    if constexpr (!exact) return grad + a + (kOne + kSign - b - b);
    return ((a - (b - kOne)) & kField) + ((kSign - (b & kField)) + grad);
  }
  static Int unless_zero(Int grad, Int v) { return v & (Int)(as_float(grad) != Float{}); }
};

}  // namespace mulfree::MF_TARGET
