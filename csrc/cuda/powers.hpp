// Rows of powers (power_formulas.hpp), a warp each.
#pragma once
#include "power_formulas.hpp"
#include "rows.hpp"

namespace mulfree::MF_TARGET {

template <class W, class X>
inline Shift find_shift(std::int64_t n, const X& x) {
  Int largest = kInf | kSign, reach;
  W::each(n, [&](Place at) {
    const Int v = x(at);
    reach = larger(reach, magnitude(v));
    largest = larger_float(v, largest);
  });
  if (any_lane(any(is_nan(reach)))) return {Int(kNan), Int(kNan), false};
  MF_UNROLL
  for (int width = kWarp / 2; width > 0; width /= 2)
    largest = larger_float(Int(__shfl_xor_sync(kAllLanes, largest.v, width)), largest);
  largest = flush(largest);
  return {shift_of(largest), largest, below(magnitude(largest), kTameRow)};
}

// The total of the powers of row x, which `from` names in memory.
template <class X>
inline Int sum_powers(const std::int32_t* from, std::int64_t n, const X& x, const Shift& shift) {
  if (shift.tame) return Near::sum(n, [&, powers = TamePowers{shift.value}](Place at) { return powers(x(at), kAdded); });
  return Far::sum(n, [&, powers = GeneralPowers{shift.value}](Place at) { return powers(fetch(from + at.column)); });
}

// out = extra(column) + gradient by x of the level, of which d_whole is the gradient by the total; all in memory.
template <bool exact, class Extra>
inline void d_powers_of_row(const std::int32_t* x, std::int32_t* out, std::int64_t n, Int shift, Int whole, Int d_whole,
                            Extra&& extra) {
  if (is_tame(shift, whole) && below(magnitude(d_whole), kTameGrad)) {
    const TamePowers powers{shift};
    return Near::each(n, [&](Place at) {
      const Int v = fetch(x + at.column);
      out[at.column] = add_floats(extra(at.column), d_power_tame<exact>(powers(v, kMetByGrad), d_whole, v)).v;
    });
  }
  const GeneralPowers powers{shift};
  Far::each(n, [&](Place at) {
    out[at.column] = add(extra(at.column), d_power<exact>(powers, d_whole, fetch(x + at.column))).v;
  });
}

}  // namespace mulfree::MF_TARGET
