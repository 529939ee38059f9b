// softmax, log-softmax and logsumexp with their derivatives.
#include "powers.hpp"
#include "row_groups.hpp"
#include "row_kernels.hpp"

namespace mulfree::MF_TARGET {
namespace {

void softmax_general(const float* x, float* out, float* stats, std::int64_t n) {
  const GeneralPowers powers{find_shift(x, n).value};
  Int whole = sum_row(n, [&](std::int64_t i, auto span) {
    Int power = powers(span.load(x + i));
    span.store(out + i, power);
    return power;
  });
  walk(n, [&](std::int64_t i, auto span) { span.store(out + i, div(span.load(out + i), whole)); });
  keep_stats(stats, powers.shift, whole);
}

// False if a row is not tame; `out` then holds nothing of use.
bool softmax_tame(const float* x, float* out, float* stats, std::int64_t n, int rows) {
  Int vectors[kLanes], reach{};
  for (int row = 0; row < rows; ++row) {
    const float* own = x + row * n;
    Int largest = splat(kInf | kSign);
    walk(n, [&](std::int64_t i, auto span) {
      Int v = span.load(own + i);
      reach = larger(reach, magnitude(v));
      largest = larger_float(select(span.keep(splat(-1)), v, splat(kInf | kSign)), largest);
    });
    vectors[row] = largest;
  }
  repeat_first(vectors, rows);
  const Int largest = flush(fold_rows(vectors, [](Int a, Int b) { return larger_float(a, b); }));
  if (any(is_nan(reach)) || !below(magnitude(largest), kTameRow)) return false;
  const RowNumbers shifts(shift_of(largest));
  const RowNumbers wholes(sum_rows(rows, n, [&](int row) {
    return [own = x + row * n, target = out + row * n, powers = TamePowers{shifts[row]}](std::int64_t i, auto span) {
      Int power = powers(span.load(own + i), kAdded);
      span.store(target + i, power);
      return power;
    };
  }));
  for (int row = 0; row < rows; ++row) {
    float* own = out + row * n;
    walk(n, [own, scale = kOne - wholes[row]](std::int64_t i, auto span) {
      span.store(own + i, flush_total(span.load(own + i) + scale));
    });
  }
  keep_stats(stats, shifts, wholes, rows);
  return true;
}

template <bool exact>
void softmax_grad_general(const float* grad, const float* x, Int shift, Int whole, float* out, std::int64_t n) {
  const GeneralPowers powers{shift};
  Int d_whole = sum_row(n, [&](std::int64_t i, auto span) {
    return d_denominator<exact>(span.load(grad + i), powers(span.load(x + i)), whole);
  });
  walk(n, [&](std::int64_t i, auto span) {
    Int v = span.load(x + i);
    Int d = add(d_numerator<exact>(span.load(grad + i), powers(v), whole), d_whole);
    span.store(out + i, d_power<exact>(powers, d, v));
  });
}

// False if a row or its gradient is not tame; `out` then holds nothing of use.
template <bool exact>
bool softmax_grad_tame(const float* grad, const float* x, const float* stats, float* out, std::int64_t n, int rows) {
  const RowNumbers shifts(rows, [&](int row) { return stats + 2 * row; });
  const RowNumbers wholes(rows, [&](int row) { return stats + 2 * row + 1; });
  if (!is_tame(shifts.all(), wholes.all())) return false;
  Int reach{};
  const RowNumbers d_wholes(sum_rows(rows, n, [&](int row) {
    const Int whole = wholes[row], scale = exact ? kOne - (whole & ~kMantissa) : kOne - whole - whole;
    return [&reach, whole, scale, g = grad + row * n, own = x + row * n, target = out + row * n,
            powers = TamePowers{shifts[row]}](std::int64_t i, auto span) {
      Int v = span.load(g + i), magnitude_of_v = magnitude(v);
      Int power = powers(span.load(own + i), kMetByGrad);
      span.store(target + i, power);
      reach = larger(reach, magnitude_of_v);
      Int term = (exact ? (power - whole) & ~kMantissa : power) + scale + magnitude_of_v;
      return (term & (smaller(term, power) >= kMin)) | sign_of(~v);
    };
  }));
  if (!below(reach, kTameGrad)) return false;
  for (int row = 0; row < rows; ++row) {
    const float *g = grad + row * n, *own = x + row * n;
    float* target = out + row * n;
    const Int whole = wholes[row], d_whole = d_wholes[row];
    walk(n, [ahead = rows * n, g, own, target, whole, d_whole](std::int64_t i, auto span) {
      __builtin_prefetch(g + i + ahead);  // for the next group
      __builtin_prefetch(own + i + ahead);
      Int v = span.load(g + i), power = span.load(target + i);
      Int field = power & kMantissa & (power >= kMin);
      Int by_power = (exact ? (field - whole) & ~kMantissa : -whole) + kOne + magnitude(v);
      Int d = add_floats(flush_total(by_power) | sign_of(v), d_whole);
      span.store(target + i, d_power_tame<exact>(power, d, span.load(own + i)));
    });
  }
  return true;
}

template <bool exact>
void softmax_grad_rows(const float* grad, const float* x, const float* stats, float* out, const RowsShape& shape) {
  const std::int64_t n = shape.n;
  for_groups(shape, [&](std::int64_t first, int rows) {
    const std::int64_t at = first * n;
    if (softmax_grad_tame<exact>(grad + at, x + at, stats + 2 * first, out + at, n, rows)) return;
    for (std::int64_t row = first; row < first + rows; ++row) {
      Int shift = splat_from(stats + 2 * row), whole = splat_from(stats + 2 * row + 1);
      softmax_grad_general<exact>(grad + row * n, x + row * n, shift, whole, out + row * n, n);
    }
  });
}

template <bool exact>
void log_softmax_grad_rows(const float* grad, const float* x, const float* stats, float* out, const RowsShape& shape) {
  for_rows(shape, [&](std::int64_t row) {
    const float* g = grad + row * shape.n;
    Int shift = splat_from(stats + 2 * row), whole = splat_from(stats + 2 * row + 1);
    Int total = sum_row(shape.n, [&](std::int64_t i, auto span) { return span.load(g + i); });
    Int d_whole = d_level<exact>(negate(total), shift, whole);
    d_powers_of_row<exact>(x + row * shape.n, out + row * shape.n, shape.n, shift, whole, d_whole,
                           [&](std::int64_t i, auto span) { return span.load(g + i); });
  });
}

template <bool exact>
void logsumexp_grad_rows(const float* grad, const float* x, const float* stats, float* out, const RowsShape& shape) {
  const Int nothing = splat(kSign);  // adding -0 changes no bit
  for_rows(shape, [&](std::int64_t row) {
    Int shift = splat_from(stats + 2 * row), whole = splat_from(stats + 2 * row + 1);
    Int d_whole = d_level<exact>(splat_from(grad + row), shift, whole);
    d_powers_of_row<exact>(x + row * shape.n, out + row * shape.n, shape.n, shift, whole, d_whole,
                           [&](std::int64_t, auto) { return nothing; });
  });
}

}  // namespace

void softmax(const float* x, float* out, float* stats, RowsShape shape) {
  const std::int64_t n = shape.n;
  for_groups(shape, [&](std::int64_t first, int rows) {
    if (softmax_tame(x + first * n, out + first * n, stats + 2 * first, n, rows)) return;
    for (std::int64_t row = first; row < first + rows; ++row)
      softmax_general(x + row * n, out + row * n, stats + 2 * row, n);
  });
}

void softmax_grad(const float* grad, const float* x, const float* stats, float* out, RowsShape shape, bool exact) {
  (exact ? softmax_grad_rows<true> : softmax_grad_rows<false>)(grad, x, stats, out, shape);
}

void log_softmax(const float* x, float* out, float* stats, RowsShape shape) {
  for_rows(shape, [&](std::int64_t row) {
    const float* own = x + row * shape.n;
    const Shift shift = find_shift(own, shape.n);
    Int whole = sum_powers(own, shape.n, shift);
    Int level = level_of(shift, whole);
    walk(shape.n, [&](std::int64_t i, auto span) {
      span.store(out + row * shape.n + i, subtract(span.load(own + i), level));
    });
    keep_stats(stats + 2 * row, shift.value, whole);
  });
}

void log_softmax_grad(const float* grad, const float* x, const float* stats, float* out, RowsShape shape, bool exact) {
  (exact ? log_softmax_grad_rows<true> : log_softmax_grad_rows<false>)(grad, x, stats, out, shape);
}

void logsumexp(const float* x, float* out, float* stats, RowsShape shape) {
  for_rows(shape, [&](std::int64_t row) {
    const float* own = x + row * shape.n;
    Shift shift = find_shift(own, shape.n);
    if (any(is_infinite(magnitude(shift.value)))) shift = {Int{}, shift.largest, false};
    Int whole = sum_powers(own, shape.n, shift);
    keep(out + row, level_of(shift, whole));
    keep_stats(stats + 2 * row, shift.value, whole);
  });
}

void logsumexp_grad(const float* grad, const float* x, const float* stats, float* out, RowsShape shape, bool exact) {
  (exact ? logsumexp_grad_rows<true> : logsumexp_grad_rows<false>)(grad, x, stats, out, shape);
}

}  // namespace mulfree::MF_TARGET
