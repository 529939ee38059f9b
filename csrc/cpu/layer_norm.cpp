// Layer norm. Every formula is written once, for every form of the operations (tame.hpp).
#include "layer_norm.hpp"
#include "row_kernels.hpp"

namespace mulfree::MF_TARGET {
namespace {

// What the rows of one call share.
struct Shared {
  Optional weight, bias;
  Range range;  // of weight and bias
  std::int64_t n;
  Int eps, count;
};

Int square_sums(const float* x, std::int64_t n, const RowNumbers& middles, int rows) {
  return sum_rows(rows, n, [&](int row) {
    return [own = x + row * n, middle = middles[row]](std::int64_t i, auto span) {
      Int centred = subtract(span.load(own + i), middle);
      return mul(centred, centred);
    };
  });
}

// The same where `reach`, of the centred numbers, then allows the tame form. Fetches `out` for the last pass.
Int square_sums_tame(const float* x, const float* out, std::int64_t n, const RowNumbers& middles, int rows,
                     Reach& reach) {
  Reach seen;
  Int sums = sum_rows(rows, n, [&](int row) {
    return [&seen, own = x + row * n, target = out + row * n, minus = middles[row] ^ kSign](std::int64_t i, auto span) {
      Int centred = add_floats(span.load(own + i), minus);
      __builtin_prefetch(target + i, 1);
      seen.take(centred);
      return larger(centred + centred - kOne, Int{});  // what is below the smallest normal counts as zero
    };
  });
  reach = seen;
  return sums;
}

// Fetches what lies `ahead` of the row meanwhile.
template <class Form>
void normalise(const Shared shared, const float* x, float* out, Int middle, Int root, std::int64_t ahead) {
  walk(shared.n, [&](std::int64_t i, auto span) {
    __builtin_prefetch(x + ahead + i);
    Int normal = Form::div(Form::add(span.load(x + i), middle ^ kSign), root);
    span.store(out + i, Form::add(Form::mul(normal, shared.weight.load(i, span)), shared.bias.load(i, span)));
  });
}

void forward(const Shared& shared, const float* x, float* out, float* stats, int rows) {
  const std::int64_t n = shared.n;
  const Int totals = sum_rows(rows, n, [&](int row) {
    return [own = x + row * n](std::int64_t i, auto span) { return span.load(own + i); };
  });
  const RowNumbers middles(div(totals, shared.count));
  Reach reach;
  Int squares = square_sums_tame(x, out, n, middles, rows, reach);
  Range range = std::min(shared.range, reach.range(kLeastCentred));
  if (reach.range(kLeastCentred) == Range::general) squares = square_sums(x, n, middles, rows);
  const RowNumbers variances(add(div(squares, shared.count), shared.eps));
  const RowNumbers roots(sqrt(variances.all()));
  range = std::min(range, range_of_root(roots.all()));
  const auto result = range == Range::plain  ? normalise<Plain<true>>
                      : range == Range::tame ? normalise<Tame<true>>
                                             : normalise<General<true>>;
  for (int row = 0; row < rows; ++row) 
    result(shared, x + row * n, out + row * n, middles[row], roots[row], rows * n);
  keep_stats(stats, middles, variances, rows);
}

}  // namespace

void layer_norm(const float* x, const float* weight, const float* bias, float* out, float* stats, RowsShape shape,
                std::int32_t eps, std::int32_t count) {
  const std::int64_t n = shape.n;
  const Range of_bias = range_of(bias, n, kMin) == Range::general ? Range::general : Range::plain;
  const Range range = std::min(range_of(weight, n, kLeastWeight), of_bias);
  const Shared shared{{weight, kOne}, {bias, kSign}, range, n, splat(eps), splat(count)};
  for_groups(shape, [&](std::int64_t row, int rows) {
    forward(shared, x + row * n, out + row * n, stats + 2 * row, rows);
  });
}

}  // namespace mulfree::MF_TARGET
