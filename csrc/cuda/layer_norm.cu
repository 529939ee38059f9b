// Layer norm. The formulas are written once, for every form of the operations (tame.hpp). MF_SLOTS: see rows.hpp.
#include "norms.hpp"

namespace mulfree::MF_TARGET {

struct LayerNormArgs {
  const std::int32_t *x, *weight, *bias;  // the last two may be null
  std::int32_t *out, *stats;
  std::int64_t rows, n, eps, count;       // the last two are words
};

template <class Form, class W, class X>
inline void normalise(const LayerNormArgs& args, const X& x, std::int32_t* out, Int minus, Int root) {
  const Optional weight{args.weight, kOne}, bias{args.bias, kSign};
  W::each(args.n, [&](Place at) {
    const Int normal = Form::div(Form::add(x(at), minus), root);
    out[at.column] = Form::add(Form::mul(normal, weight(at)), bias(at)).v;
  });
}

MF_KERNEL(layer_norm, LayerNormArgs, kRowThreads) {
  const std::int64_t n = args.n;
  const Int count(static_cast<std::int32_t>(args.count)), eps(static_cast<std::int32_t>(args.eps));
  const Range of_bias = Optional{args.bias, kSign}.range(n, kMin) == Range::general ? Range::general : Range::plain;
  const Range of_operands = narrower(Optional{args.weight, kOne}.range(n, kLeastWeight), of_bias);
  for_rows(args.rows, [&](std::int64_t row) {
    const std::int32_t* own = args.x + row * n;
    std::int32_t* out = args.out + row * n;
    const auto x = read<Near>(own, n);
    const auto again = read<Far>(own, n);
    const Int middle = div(Near::sum(n, x), count), minus = middle ^ kSign;
    Reach reach;
    Int squares = Near::sum(n, [&](Place at) {
      const Int centred = add_floats(x(at), minus);
      reach.take(centred);
      return larger(centred + centred - kOne, Int{});  // what is below the smallest normal counts as zero
    });
    Range range = of_warp(reach.range(kLeastCentred));
    if (range == Range::general)
      squares = Far::sum(n, [&](Place at) {
        const Int centred = add(again(at), minus);
        return mul(centred, centred);
      });
    const Int variance = add(div(squares, count), eps), root = sqrt(variance);
    range = narrower(narrower(range, of_operands), range_of_root(root));
    if (range == Range::plain) normalise<Plain<true>, Near>(args, x, out, minus, root);
    else if (range == Range::tame) normalise<Tame<true>, Near>(args, x, out, minus, root);
    else normalise<General<true>, Far>(args, again, out, minus, root);
    keep_stats(args.stats, row, middle, variance);
  });
}

}  // namespace mulfree::MF_TARGET
