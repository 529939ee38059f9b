// The derivatives of softmax, log-softmax and logsumexp. MF_EXACT: which derivative; MF_SLOTS: see rows.hpp.
#include "powers.hpp"

namespace mulfree::MF_TARGET {

struct SoftmaxGradArgs {
  const std::int32_t *grad, *x, *stats;
  std::int32_t* out;
  std::int64_t rows, n;
};

// What a warp works on.
struct Row {
  Row(const SoftmaxGradArgs& args, std::int64_t row)
      : grad(args.grad + row * args.n),
        x(args.x + row * args.n),
        out(args.out + row * args.n),
        n(args.n),
        shift(fetch(args.stats + 2 * row)),
        whole(fetch(args.stats + 2 * row + 1)) {}
  const std::int32_t *grad, *x;
  std::int32_t* out;
  std::int64_t n;
  Int shift, whole;
};

template <bool exact>
inline void softmax_grad_general(const Row& row) {
  const GeneralPowers powers{row.shift};
  const Int d_whole = Far::sum(row.n, [&](Place at) {
    return d_denominator<exact>(fetch(row.grad + at.column), powers(fetch(row.x + at.column)), row.whole);
  });
  Far::each(row.n, [&](Place at) {
    const Int v = fetch(row.x + at.column);
    const Int d = add(d_numerator<exact>(fetch(row.grad + at.column), powers(v), row.whole), d_whole);
    row.out[at.column] = d_power<exact>(powers, d, v).v;
  });
}

// False, and nothing done, if the row or its gradient is not tame.
template <bool exact>
inline bool softmax_grad_tame(const Row& row) {
  if (!is_tame(row.shift, row.whole)) return false;
  const std::int64_t n = row.n;
  const Int whole = row.whole, scale = exact ? kOne - (whole & ~kMantissa) : kOne - whole - whole;
  const TamePowers powers{row.shift};
  const auto grad = read<Near>(row.grad, n), x = read<Near>(row.x, n);
  Int reach;
  const Int d_whole = Near::sum(n, [&](Place at) {
    const Int g = grad(at), power = powers(x(at), kMetByGrad);
    reach = larger(reach, magnitude(g));
    const Int term = (exact ? (power - whole) & ~kMantissa : power) + scale + magnitude(g);
    return (term & (smaller(term, power) >= kMin)) | sign_of(~g);
  });
  if (any_lane(reach.v >= kTameGrad)) return false;
  Near::each(n, [&](Place at) {
    const Int g = grad(at), v = x(at), power = powers(v, kMetByGrad);
    const Int field = power & kMantissa & (power >= kMin);
    const Int by_power = (exact ? (field - whole) & ~kMantissa : Int{} - whole) + kOne + magnitude(g);
    const Int d = add_floats(flush_total(by_power) | sign_of(g), d_whole);
    row.out[at.column] = d_power_tame<exact>(power, d, v).v;
  });
  return true;
}

MF_KERNEL(softmax_grad, SoftmaxGradArgs, kRowThreads) {
  for_rows(args.rows, [&](std::int64_t number) {
    const Row row(args, number);
    if (!softmax_grad_tame<MF_EXACT>(row)) softmax_grad_general<MF_EXACT>(row);
  });
}

MF_KERNEL(log_softmax_grad, SoftmaxGradArgs, kRowThreads) {
  for_rows(args.rows, [&](std::int64_t number) {
    const Row row(args, number);
    const Int total = Near::sum(row.n, [&](Place at) { return fetch(row.grad + at.column); });
    const Int d_whole = d_level<MF_EXACT>(negate(total), row.shift, row.whole);
    d_powers_of_row<MF_EXACT>(row.x, row.out, row.n, row.shift, row.whole, d_whole,
                              [&](std::int64_t column) { return fetch(row.grad + column); });
  });
}

// `grad` has one number a row.
MF_KERNEL(logsumexp_grad, SoftmaxGradArgs, kRowThreads) {
  for_rows(args.rows, [&](std::int64_t number) {
    const Row row(args, number);
    const Int d_whole = d_level<MF_EXACT>(fetch(args.grad + number), row.shift, row.whole);
    d_powers_of_row<MF_EXACT>(row.x, row.out, row.n, row.shift, row.whole, d_whole,
                              [](std::int64_t) { return Int(kSign); });  // adding -0 changes no bit
  });
}

}  // namespace mulfree::MF_TARGET
