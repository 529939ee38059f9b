// Cross-entropy on rows of logits, with label smoothing and an ignored target.
#include "powers.hpp"
#include "row_kernels.hpp"

namespace mulfree::MF_TARGET {
namespace {

// The total of log p over the classes.
Int total_of_logs(const float* x, std::int64_t n, Int level) {
  return sum_row(n, [&](std::int64_t i, auto span) {
    return as_int(as_float(span.load(x + i)) - as_float(level));
  });
}

template <bool exact>
void cross_entropy_grad_rows(const float* grad, const float* x, const std::int64_t* target, const float* stats,
                             float* out, const RowsShape& shape, const Smoothing& smoothing) {
  for_rows(shape, [&](std::int64_t row) {
    const float* own = x + row * shape.n;
    float* result = out + row * shape.n;
    const std::int64_t t = target[row];
    if (t == smoothing.ignore_index) {
      std::fill(result, result + shape.n, 0.0f);
      return;
    }
    Int g = splat_from(grad + row), shift = splat_from(stats + 2 * row), whole = splat_from(stats + 2 * row + 1);
    Int d_other{}, d_target = negate(g);
    if (smoothing.smooth) {
      Int level = is_held(shift) ? find_shift(own, shape.n).largest : level_of(shift, whole);
      Int total = total_of_logs(own, shape.n, level);
      d_other = negate(d_mul<exact>(g, negate(total), splat(smoothing.by_class)));
      Int d_own = negate(d_mul<exact>(g, negate(subtract(splat_from(own + t), level)), splat(smoothing.by_target)));
      d_target = add(d_other, d_own);
    }
    const auto d_log = [&](std::int64_t i, auto) {
      return select(lane_numbers() == splat(static_cast<std::int32_t>(t - i)), d_target, d_other);
    };
    Int total = smoothing.smooth ? sum_row(shape.n, d_log) : close_total(flush(d_target));
    Int d_whole = d_level<exact>(negate(total), shift, whole);
    d_powers_of_row<exact>(own, result, shape.n, shift, whole, d_whole, d_log);
  });
}

}  // namespace

void cross_entropy(const float* x, const std::int64_t* target, float* out, float* stats, RowsShape shape,
                   Smoothing smoothing) {
  for_rows(shape, [&](std::int64_t row) {
    const float* own = x + row * shape.n;
    const Shift shift = find_shift(own, shape.n);
    Int whole = sum_powers(own, shape.n, shift);
    keep_stats(stats + 2 * row, shift.value, whole);
    if (target[row] == smoothing.ignore_index) return keep(out + row, Int{});
    Int level = level_of(shift, whole);
    Int loss = negate(subtract(splat_from(own + target[row]), level));
    if (smoothing.smooth) {
      Int total = negate(total_of_logs(own, shape.n, level));
      loss = add(mul(loss, splat(smoothing.by_target)), mul(total, splat(smoothing.by_class)));
    }
    keep(out + row, loss);
  });
}

void cross_entropy_grad(const float* grad, const float* x, const std::int64_t* target, const float* stats, float* out,
                        RowsShape shape, Smoothing smoothing, bool exact) {
  (exact ? cross_entropy_grad_rows<true> : cross_entropy_grad_rows<false>)(grad, x, target, stats, out, shape,
                                                                           smoothing);
}

}  // namespace mulfree::MF_TARGET
