// The derivative of layer norm by its rows. The formulas are written once, for every form of the operations (tame.hpp).
// MF_EXACT: which derivative; MF_SLOTS: see rows.hpp.
#include "norms.hpp"

namespace mulfree::MF_TARGET {

struct LayerNormGradArgs {
  const std::int32_t *grad, *x, *weight, *stats;  // the weight may be null
  std::int32_t *out, *roots;                      // a root each row, for the gradients by weight and bias
  std::int64_t rows, n, count;                    // the last is a word
};

// A row as functions of the place, and what its numbers share.
template <class Grad, class X>
struct Row {
  Grad grad;
  X x;
  Optional weight;
  std::int64_t n;
  Int minus, root;  // the middle's opposite
};

template <class Grad, class X>
Row(Grad, X, Optional, std::int64_t, Int, Int) -> Row<Grad, X>;

struct Seen {
  Reach centred, grad;
  Range range() const { return narrower(centred.range(kLeastCentred), grad.range(kLeastGrad)); }
};

struct Sums {
  Int d_root, squares, total;  // the sums of squares and of the row: for the exact derivative only
};

template <class Form, bool exact, class W, class Row>
inline Sums first_pass(const Row& row, Seen* seen) {
  const auto terms = W::template sums<exact ? 3 : 1>(row.n, [&](Place at) {
    const Int v = row.x(at), g = row.grad(at), centred = Form::add(v, row.minus);
    seen->centred.take(centred);
    seen->grad.take_or_zero(g);
    const Int d_normal = Form::d_mul(g, Form::div(centred, row.root), row.weight(at));
    const Int d_root = Form::unless_zero(g, Form::d_denominator(d_normal, centred, row.root));
    if constexpr (exact) return Terms<3>{{d_root, Form::mul(centred, centred), v}};
    else return Terms<1>{{d_root}};
  });
  if constexpr (exact) return {terms.each[0], terms.each[1], terms.each[2]};
  else return {terms.each[0], Int{}, Int{}};
}

template <class Form, bool exact, class W, class Row>
inline void second_pass(const Row& row, std::int32_t* out, Int d_square, Int total, Int count) {
  auto d_centred = W::room(out);
  const Int d_middle = negate(W::sum(row.n, [&](Place at) {
    const Int g = row.grad(at), centred = Form::add(row.x(at), row.minus);
    const Int by_square = Form::d_mul(d_square, centred, centred);
    const Int d_normal = Form::d_mul(g, Form::div(centred, row.root), row.weight(at));
    const Int by_quotient = Form::unless_zero(g, Form::d_numerator(d_normal, centred, row.root));
    const Int d = Form::add(by_quotient, Form::add(by_square, by_square));
    d_centred.set(at, d);
    return d;
  }));
  const Int d_term = d_numerator<exact>(d_middle, total, count);
  W::each(row.n, [&](Place at) { out[at.column] = add(d_centred(at), d_term).v; });
}

template <bool exact>
inline void backward(const LayerNormGradArgs& args, std::int64_t number, Range of_weight) {
  const std::int64_t n = args.n;
  const std::int32_t *grad = args.grad + number * n, *x = args.x + number * n;
  std::int32_t* out = args.out + number * n;
  const Int variance = fetch(args.stats + 2 * number + 1), root = sqrt(variance);
  const Int minus = fetch(args.stats + 2 * number) ^ kSign, count(static_cast<std::int32_t>(args.count));
  keep(args.roots + number, root);
  const Optional weight{args.weight, kOne};
  // The gradient comes from the nearest cache the second time, which saves registers.
  const Row row{read<Far>(grad, n), read<Near>(x, n), weight, n, minus, root};
  const Row again{read<Far>(grad, n), read<Far>(x, n), weight, n, minus, root};

  Seen seen, unused;
  Sums sums = first_pass<Plain<exact>, exact, Near>(row, &seen);
  Range range = narrower(narrower(of_weight, range_of_root(root)), of_warp(seen.range()));
  if (range == Range::tame) sums = first_pass<Tame<exact>, exact, Near>(row, &unused);
  if (range == Range::general) sums = first_pass<General<exact>, exact, Far>(again, &unused);

  const Int d_square = d_numerator<exact>(d_sqrt<exact>(sums.d_root, variance), sums.squares, count);
  if (any(outside(magnitude(d_square), kLeastBySquare, kMostBySquare))) range = narrower(range, Range::tame);
  if (magnitude(d_square).v >= kMostBySquare) range = Range::general;
  if (range == Range::plain) second_pass<Plain<exact>, exact, Near>(row, out, d_square, sums.total, count);
  else if (range == Range::tame) second_pass<Tame<exact>, exact, Near>(row, out, d_square, sums.total, count);
  else second_pass<General<exact>, exact, Far>(again, out, d_square, sums.total, count);
}

MF_KERNEL(layer_norm_grad, LayerNormGradArgs, kRowThreads) {
  const Range of_weight = Optional{args.weight, kOne}.range(args.n, kLeastWeight);
  for_rows(args.rows, [&](std::int64_t row) { backward<MF_EXACT>(args, row, of_weight); });
}

}  // namespace mulfree::MF_TARGET
