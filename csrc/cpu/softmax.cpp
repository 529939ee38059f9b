// softmax, log-softmax and logsumexp with their derivatives.
#include "powers.hpp"
#include "row_kernels.hpp"

namespace mulfree::MF_TARGET {
namespace {

void softmax_row(const float* x, float* out, float* stats, std::int64_t n) {
  const Shift shift = find_shift(x, n);
  if (shift.tame) {
    const TamePowers powers{shift.value};
    Int whole = sum_row(n, [&](std::int64_t i, auto span) {
      Int power = powers(span.load(x + i), kAdded);
      span.store(out + i, power);
      return power;
    });
    Int scale = kOne - whole;
    walk(n, [&](std::int64_t i, auto span) { span.store(out + i, flush_total(span.load(out + i) + scale)); });
    return keep_stats(stats, shift.value, whole);
  }
  const GeneralPowers powers{shift.value};
  Int whole = sum_row(n, [&](std::int64_t i, auto span) {
    Int power = powers(span.load(x + i));
    span.store(out + i, power);
    return power;
  });
  walk(n, [&](std::int64_t i, auto span) { span.store(out + i, div(span.load(out + i), whole)); });
  keep_stats(stats, shift.value, whole);
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

// False if a gradient is not tame; `out` then holds nothing of use.
template <bool exact>
bool softmax_grad_tame(const float* grad, const float* x, Int shift, Int whole, float* out, std::int64_t n) {
  const TamePowers powers{shift};
  const Int floored = whole & ~kMantissa;
  Int reach{};
  Int d_whole = sum_row(n, [&](std::int64_t i, auto span) {
    Int g = span.load(grad + i), mg = magnitude(g);
    Int power = powers(span.load(x + i), kMetByGrad);
    span.store(out + i, power);
    reach = larger(reach, mg);
    Int term = exact ? ((power - whole) & ~kMantissa) + (kOne - floored) + mg : power + mg + (kOne - whole - whole);
    return (term & (smaller(term, power) >= kMin)) | sign_of(~g);
  });
  if (!below(reach, kTameGrad)) return false;
  walk(n, [&](std::int64_t i, auto span) {
    Int g = span.load(grad + i), mg = magnitude(g);
    Int power = span.load(out + i);
    Int by_power;
    if constexpr (exact) {
      Int field = power & kMantissa & (power >= kMin);
      by_power = ((field - whole) & ~kMantissa) + kOne + mg;
    } else {
      by_power = mg - whole + kOne;
    }
    Int d = add_floats(flush_total(by_power) | sign_of(g), d_whole);
    span.store(out + i, d_power_tame<exact>(power, d, span.load(x + i)));
  });
  return true;
}

template <bool exact>
void softmax_grad_rows(const float* grad, const float* x, const float* stats, float* out, const RowsShape& shape) {
  for_rows(shape, [&](std::int64_t row) {
    const std::int64_t at = row * shape.n;
    Int shift = splat_from(stats + 2 * row), whole = splat_from(stats + 2 * row + 1);
    if (is_tame(shift, whole) && softmax_grad_tame<exact>(grad + at, x + at, shift, whole, out + at, shape.n)) return;
    softmax_grad_general<exact>(grad + at, x + at, shift, whole, out + at, shape.n);
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
  for_rows(shape, [&](std::int64_t row) {
    softmax_row(x + row * shape.n, out + row * shape.n, stats + 2 * row, shape.n);
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
