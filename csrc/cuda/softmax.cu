// softmax, log-softmax and logsumexp. MF_SLOTS: see rows.hpp.
#include "powers.hpp"

namespace mulfree::MF_TARGET {

struct SoftmaxArgs {
  const std::int32_t* x;
  std::int32_t *out, *stats;
  std::int64_t rows, n;
};

MF_KERNEL(softmax, SoftmaxArgs, kRowThreads) {
  const std::int64_t n = args.n;
  for_rows(args.rows, [&](std::int64_t row) {
    const std::int32_t* own = args.x + row * n;
    std::int32_t* out = args.out + row * n;
    const auto x = read<Near>(own, n);
    const Shift shift = find_shift<Near>(n, x);
    Int whole;
    if (shift.tame) {
      const auto powers = Near::values(n, [&](Place at) { return TamePowers{shift.value}(x(at), kAdded); });
      whole = Near::sum(n, powers);
      Near::each(n, [&](Place at) { out[at.column] = flush_total(powers(at) + (kOne - whole)).v; });
    } else {
      const auto powers = [&](Place at) { return GeneralPowers{shift.value}(fetch(own + at.column)); };
      whole = Far::sum(n, powers);
      Far::each(n, [&](Place at) { out[at.column] = div(powers(at), whole).v; });
    }
    keep_stats(args.stats, row, shift.value, whole);
  });
}

MF_KERNEL(log_softmax, SoftmaxArgs, kRowThreads) {
  const std::int64_t n = args.n;
  for_rows(args.rows, [&](std::int64_t row) {
    const std::int32_t* own = args.x + row * n;
    std::int32_t* out = args.out + row * n;
    const auto x = read<Near>(own, n);
    const Shift shift = find_shift<Near>(n, x);
    const Int whole = sum_powers(own, n, x, shift), level = level_of(shift, whole);
    Near::each(n, [&](Place at) { out[at.column] = subtract(x(at), level).v; });
    keep_stats(args.stats, row, shift.value, whole);
  });
}

// `out` has one number a row.
MF_KERNEL(logsumexp, SoftmaxArgs, kRowThreads) {
  const std::int64_t n = args.n;
  for_rows(args.rows, [&](std::int64_t row) {
    const std::int32_t* own = args.x + row * n;
    const auto x = read<Far>(own, n);  // from the nearest cache the second time
    Shift shift = find_shift<Near>(n, x);
    if (any(is_infinite(magnitude(shift.value)))) shift = {Int{}, shift.largest, false};
    const Int whole = sum_powers(own, n, x, shift);
    keep(args.out + row, level_of(shift, whole));
    keep_stats(args.stats, row, shift.value, whole);
  });
}

}  // namespace mulfree::MF_TARGET
