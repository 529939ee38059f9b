// Cross-entropy on rows of logits, with label smoothing and an ignored target. MF_EXACT: which derivative; MF_SLOTS:
// see rows.hpp.
#include "powers.hpp"

namespace mulfree::MF_TARGET {

struct Smoothing {
  std::int64_t ignore_index;
  std::int64_t smooth;               // 0: the two weights are unused
  std::int64_t by_target, by_class;  // words
  Int of_target() const { return Int(static_cast<std::int32_t>(by_target)); }
  Int of_class() const { return Int(static_cast<std::int32_t>(by_class)); }
};

// The entry of a target; NaN where it is no class, which callers may not have been able to check.
inline Int fetch_target(const std::int32_t* own, std::int64_t target, std::int64_t n) {
  return static_cast<std::uint64_t>(target) < static_cast<std::uint64_t>(n) ? fetch(own + target) : Int(kNan);
}

// The total of log p over the classes.
template <class X>
inline Int total_of_logs(std::int64_t n, const X& x, Int level) {
  return Near::sum(n, [&](Place at) { return as_int(as_float(x(at)) - as_float(level)); });
}

struct CrossEntropyArgs {
  const std::int32_t* x;
  const std::int64_t* target;
  std::int32_t *out, *stats;
  std::int64_t rows, n;
  Smoothing smoothing;
};

MF_KERNEL(cross_entropy, CrossEntropyArgs, kRowThreads) {
  const std::int64_t n = args.n;
  const Smoothing& smoothing = args.smoothing;
  for_rows(args.rows, [&](std::int64_t row) {
    const std::int32_t* own = args.x + row * n;
    const auto x = read<Near>(own, n);
    const Shift shift = find_shift<Near>(n, x);
    const Int whole = sum_powers(own, n, x, shift);
    keep_stats(args.stats, row, shift.value, whole);
    const std::int64_t target = args.target[row];
    if (target == smoothing.ignore_index) return keep(args.out + row, Int{});
    const Int level = level_of(shift, whole);
    Int loss = negate(subtract(fetch_target(own, target, n), level));
    if (smoothing.smooth) {
      const Int total = negate(total_of_logs(n, x, level));
      loss = add(mul(loss, smoothing.of_target()), mul(total, smoothing.of_class()));
    }
    keep(args.out + row, loss);
  });
}

struct CrossEntropyGradArgs {
  const std::int32_t *grad, *x;
  const std::int64_t* target;
  const std::int32_t* stats;
  std::int32_t* out;
  std::int64_t rows, n;
  Smoothing smoothing;
};

// Gradients by the logarithm of a class's probability.
struct LogGrads {
  Int target, other;
};

template <bool exact>
inline LogGrads smooth_grads(const CrossEntropyGradArgs& args, const std::int32_t* own, std::int64_t target, Int grad,
                             Int shift, Int whole) {
  const auto x = read<Far>(own, args.n);
  const Int largest = is_held(shift) ? find_shift<Far>(args.n, x).largest : Int{};
  const Int level = level_of(Shift{shift, largest, false}, whole), total = total_of_logs(args.n, x, level);
  const Int log_of_target = subtract(fetch_target(own, target, args.n), level);
  const Int d_other = negate(d_mul<exact>(grad, negate(total), args.smoothing.of_class()));
  const Int d_own = negate(d_mul<exact>(grad, negate(log_of_target), args.smoothing.of_target()));
  return {add(d_other, d_own), d_other};
}

MF_KERNEL(cross_entropy_grad, CrossEntropyGradArgs, kRowThreads) {
  const std::int64_t n = args.n;
  for_rows(args.rows, [&](std::int64_t row) {
    const std::int32_t* own = args.x + row * n;
    std::int32_t* out = args.out + row * n;
    const std::int64_t target = args.target[row];
    if (target == args.smoothing.ignore_index) return Near::each(n, [&](Place at) { out[at.column] = 0; });
    const Int grad = fetch(args.grad + row);
    const Int shift = fetch(args.stats + 2 * row), whole = fetch(args.stats + 2 * row + 1);
    LogGrads d_logs{negate(grad), Int{}};
    Int total = close_total(flush(d_logs.target));
    const auto d_log = [&](std::int64_t column) { return column == target ? d_logs.target : d_logs.other; };
    if (args.smoothing.smooth) {
      d_logs = smooth_grads<MF_EXACT>(args, own, target, grad, shift, whole);
      total = Near::sum(n, [&](Place at) { return d_log(at.column); });
    }
    const Int d_whole = d_level<MF_EXACT>(negate(total), shift, whole);
    d_powers_of_row<MF_EXACT>(own, out, n, shift, whole, d_whole, d_log);
  });
}

}  // namespace mulfree::MF_TARGET
