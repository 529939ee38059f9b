// Rows of powers (power_formulas.hpp): the shift of a row, its total, and the derivatives by its entries.
#pragma once
#include "power_formulas.hpp"
#include "row_tools.hpp"

namespace mulfree::MF_TARGET {

inline Shift find_shift(const float* x, std::int64_t n) {
  Int largest = splat(kInf | kSign), reach{};
  const auto take = [&](Int v) {
    reach = larger(reach, magnitude(v));
    largest = larger_float(v, largest);
  };
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) take(load(x + i));
  if (i < n) {
    Int part = first_lanes(n - i);
    take(select(part, load_part(x + i, part), splat(kInf | kSign)));
  }
  largest = flush(fold(largest, larger_float));
  reach = largest_lane(reach);
  if (any(is_nan(reach))) return {splat(kNan), splat(kNan), false};
  return {shift_of(largest), largest, below(magnitude(largest), kTameRow)};
}

inline Int sum_powers(const float* x, std::int64_t n, Shift shift) {
  if (shift.tame) {
    const TamePowers powers{shift.value};
    return sum_row(n, [&](std::int64_t i, auto span) { return powers(span.load(x + i), kAdded); });
  }
  const GeneralPowers powers{shift.value};
  return sum_row(n, [&](std::int64_t i, auto span) { return powers(span.load(x + i)); });
}

// out[i] = extra(i, span) + gradient by x[i] of the level, of which d_whole is the gradient by the total.
template <bool exact, class Extra>
inline void d_powers_of_row(const float* x, float* out, std::int64_t n, Int shift, Int whole, Int d_whole,
                            Extra&& extra) {
  if (is_tame(shift, whole) && below(magnitude(d_whole), kTameGrad)) {
    const TamePowers powers{shift};
    return walk(n, [&](std::int64_t i, auto span) {
      Int v = span.load(x + i);
      Int d = d_power_tame<exact>(powers(v, kMetByGrad), d_whole, v);
      span.store(out + i, add_floats(extra(i, span), d));
    });
  }
  const GeneralPowers powers{shift};
  walk(n, [&](std::int64_t i, auto span) {
    span.store(out + i, add(extra(i, span), d_power<exact>(powers, d_whole, span.load(x + i))));
  });
}

}  // namespace mulfree::MF_TARGET
