// The loops of a tile and what each wants in shared memory. A chunk of a tile takes the first way that is exact for the
// spans of its two panels:
//
//   empty    no product is other than zero
//   fast     encodings.hpp: one integer addition and one float addition a product
//   clamped  products may be too small, or zero, but none is infinite: magnitudes are added and held above zero, signs
//            are kept apart; what is below the smallest normal number is zero for the float adder
//   general  the law's product
#pragma once
#include "problem.hpp"

namespace mulfree::MF_TARGET {

enum class Way { empty, fast, clamped, general };

// What becomes of a word of each operand: a number's magnitude or whole word plus `addend`, or what stands for zero.
struct Code {
  Way way;
  std::int32_t left_addend, left_zero, right_zero;
  std::int32_t floor, scale;  // to be undone with the sums: what is below is zero, and steps to subtract
};

inline std::int32_t narrow_to_word(std::int64_t v) { return static_cast<std::int32_t>(v); }

// `numbers`: no point of the tile is NaN (slopes).
inline Code choose_way(Span left, Span right, std::int64_t offset, bool numbers) {
  if (left.special || right.special || !numbers) return {Way::general, 0, 0, 0, 0, 0};
  if (left.empty() || right.empty()) return {Way::empty, 0, 0, 0, 0, 0};
  const std::int64_t bias = kSlopes ? -std::int64_t{kOne} : offset - kOne;
  const std::int64_t slack = kSlopes ? (offset < 0 ? -offset : offset) + 2 * std::int64_t{kStep} : 0;
  left.low += bias, left.high += bias;
  if (kSlopes) {
    // What enters the sum is the exponent of the word plus a mantissa and the offset.
    right.low = floor_step(right.low + offset);
    right.high = floor_step(right.high + offset) + kStep;
  }
  const bool zeros = left.zero || right.zero;
  Encoding code;
  if (zeros) encode_spans(left, right, slack, &code);
  if (choose_loop(left, right, code, slack) == Loop::fast) {
    const std::int64_t lowest = floor_step(left.low + right.low + code.scale);
    const bool undo = zeros || code.scale != 0;
    return {Way::fast, narrow_to_word(bias + code.scale), code.left_zero, code.right_zero,
            undo ? narrow_to_word(lowest) - 23 * kStep : 0, narrow_to_word(code.scale)};
  }
  if (kSlopes || left.high + right.high >= kInf) return {Way::general, 0, 0, 0, 0, 0};
  return {Way::clamped, narrow_to_word(bias), narrow_to_word(kMin - 1 - right.high),
          narrow_to_word(kMin - 1 - left.high), 0, 0};
}

// What the fast and the clamped way store of an operand's word, a number or one that counts as zero; `kept` is what
// they keep of it: the clamped way stores the sign apart.
inline std::int32_t encoded(std::int32_t word, std::int32_t kept, std::int32_t addend, std::int32_t zero) {
  return (word & kMagnitude) >= kMin ? (word & kept) + addend : zero;
}

inline bool missing(std::int32_t word) { return word == kMissing; }

// The term of two stored words; `point` is the slope's own entry: its mantissa plus the offset, or its word (general).
template <Way way>
inline float term(std::int32_t left, std::int32_t right, std::int32_t signs, std::int32_t point, const Offset& offset) {
  if constexpr (way == Way::fast) {
    if constexpr (kSlopes) return __int_as_float((wrapped(raw(point) + raw(right)) & ~kMantissa).v + left);
    else return __int_as_float(left + right);
  } else if constexpr (way == Way::clamped) {
    const std::int32_t total = left + right;
    return __int_as_float((total > 0 ? total : 0) | signs);
  } else {
    if (missing(left) || missing(right)) return 0.0f;
    return __int_as_float(kSlopes ? mul_grad(Int(left), Int(point), Int(right), offset).v
                                  : mul(Int(left), Int(right), offset).v);
  }
}

}  // namespace mulfree::MF_TARGET
