// The derivatives of layer norm. Every formula is written once, for every form of the operations (tame.hpp).
#include <memory>
#include <vector>

#include "layer_norm.hpp"
#include "row_kernels.hpp"

namespace mulfree::MF_TARGET {
namespace {

// Vectors that straddle cache lines cost twice.
constexpr std::int64_t kAlignment = 16;  // floats
struct alignas(4 * kAlignment) Line {
  float floats[kAlignment];
};

// What the rows of one call share.
struct Shared {
  Optional weight;
  Range range;  // of the weight
  std::int64_t n;
  Int count;
};

// The terms of the gradients by weight and bias in one lane of their sums: two rows, whose length is whole vectors.
std::int64_t lane_row(std::int64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

// A group of rows; each row has its own lane.
struct Group {
  const float *grad, *x;
  float *out, *lanes;
  RowNumbers middles, roots;
  int rows;
};

// One row of a group. Loops take copies, which stay in registers.
struct Row {
  Row(const Group& g, int row, std::int64_t n)
      : grad(g.grad + row * n),
        x(g.x + row * n),
        out(g.out + row * n),
        by_weight(g.lanes + 2 * row * lane_row(n)),
        by_bias(by_weight + lane_row(n)),
        minus(g.middles[row] ^ kSign),
        root(g.roots[row]) {}
  const float *grad, *x;
  float *out, *by_weight, *by_bias;
  Int minus, root;  // the middle's opposite
};

struct Seen {
  Reach centred, grad;
  Range range() const { return std::min(centred.range(kLeastCentred), grad.range(kLeastGrad)); }
};

struct Sums {
  Int d_roots, squares, totals;  // gradients by the roots; sums of squares and rows, for the exact derivative only
};

// The sums of each row, and what its numbers allow.
template <class Form, bool exact>
Sums first_pass(const Shared shared, const Group& group, Seen& seen_by_caller) {
  Seen seen;
  const auto sums = sum_rows<exact ? 3 : 1>(group.rows, shared.n, [&](int k) {
    return [&seen, shared, row = Row(group, k, shared.n)](std::int64_t i, auto span) {
      Int v = span.load(row.x + i), g = span.load(row.grad + i);
      Int centred = Form::add(v, row.minus);
      __builtin_prefetch(row.out + i, 1);  // for the second pass
      seen.centred.take(centred);
      seen.grad.take_or_zero(g);
      Int normal = Form::div(centred, row.root), d_normal = Form::d_mul(g, normal, shared.weight.load(i, span));
      Int term = Form::unless_zero(g, Form::d_denominator(d_normal, centred, row.root));
      if constexpr (exact) return Terms<3>{term, Form::mul(centred, centred), v};
      else return Terms<1>{term};
    };
  });
  seen_by_caller = seen;
  if constexpr (exact) return {sums[0], sums[1], sums[2]};
  else return {sums[0], Int{}, Int{}};
}

// Adds the terms of the gradients by weight and bias, leaves the gradient by the centred rows in `out` and returns
// the one by the means.
template <class Form>
Int second_pass(const Shared shared, const Group& group, const RowNumbers& d_squares) {
  return negate(sum_rows(group.rows, shared.n, [&](int k) {
    return [shared, row = Row(group, k, shared.n), d_square = d_squares[k]](std::int64_t i, auto span) {
      Int g = span.load(row.grad + i), w = shared.weight.load(i, span);
      Int centred = Form::add(span.load(row.x + i), row.minus), normal = Form::div(centred, row.root);
      __builtin_prefetch(row.x + i + kSumLanes * shared.n, 0, 2);  // for the next group
      __builtin_prefetch(row.grad + i + kSumLanes * shared.n, 0, 2);
      Int d_weight = Form::unless_zero(g, Form::d_mul(g, w, normal));
      span.store(row.by_weight + i, add_floats(span.load(row.by_weight + i), d_weight));
      span.store(row.by_bias + i, add_floats(span.load(row.by_bias + i), g));
      Int by_square = Form::d_mul(d_square, centred, centred);
      Int by_quotient = Form::unless_zero(g, Form::d_numerator(Form::d_mul(g, normal, w), centred, row.root));
      Int d_centred = Form::add(by_quotient, Form::add(by_square, by_square));
      span.store(row.out + i, d_centred);
      return d_centred;
    };
  }));
}

template <class Form>
void third_pass(const Group& group, std::int64_t n, const RowNumbers& d_terms) {
  for (int row = 0; row < group.rows; ++row) {
    float* out = group.out + row * n;
    walk(n, [out, d_term = d_terms[row]](std::int64_t i, auto span) {
      span.store(out + i, Form::add(span.load(out + i), d_term));
    });
  }
}

template <bool exact>
void backward(const Shared& shared, const float* stats, Group group) {
  const RowNumbers variances(group.rows, [&](int row) { return stats + 2 * row + 1; });
  group.middles = RowNumbers(group.rows, [&](int row) { return stats + 2 * row; });
  group.roots = RowNumbers(sqrt(variances.all()));
  Seen seen;
  Sums sums = first_pass<Plain<exact>, exact>(shared, group, seen);
  Range range = std::min({shared.range, range_of_root(group.roots.all()), seen.range()});
  if (range == Range::tame) sums = first_pass<Tame<exact>, exact>(shared, group, seen);
  if (range == Range::general) sums = first_pass<General<exact>, exact>(shared, group, seen);

  const Int d_squares =
      d_numerator<exact>(d_sqrt<exact>(sums.d_roots, variances.all()), sums.squares, shared.count);
  if (any(outside(magnitude(d_squares), kLeastBySquare, kMostBySquare))) range = std::min(range, Range::tame);
  if (any(magnitude(d_squares) >= kMostBySquare)) range = Range::general;
  const auto second = range == Range::plain  ? second_pass<Plain<exact>>
                      : range == Range::tame ? second_pass<Tame<exact>>
                                             : second_pass<General<exact>>;
  const Int d_means = second(shared, group, RowNumbers(d_squares));

  const Int d_terms = d_numerator<exact>(d_means, sums.totals, shared.count);
  if (any(is_special(magnitude(d_terms)))) range = Range::general;
  (range == Range::general ? third_pass<General<exact>> : third_pass<Tame<exact>>)(group, shared.n,
                                                                                   RowNumbers(d_terms));
}

// lanes[0] = the sum of 32 lanes of n entries each, as a tree.
void fold_lanes(float* lanes, std::int64_t n) {
  for (std::int64_t width = kSumLanes / 2; width > 0; width /= 2)
    walk(width * n, [&](std::int64_t i, auto span) {
      span.store(lanes + i, add_floats(span.load(lanes + i), span.load(lanes + width * n + i)));
    });
}

}  // namespace

void layer_norm_grad(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                     float* by_weight, float* by_bias, RowsShape shape, std::int32_t count, bool exact) {
  const std::int64_t n = shape.n;
  const Shared shared{{weight, kOne}, range_of(weight, n, kLeastWeight), n, splat(count)};
  const auto kernel = exact ? backward<true> : backward<false>;
  // The gradients by weight and bias are sums over rows: one task takes the rows of a few neighbouring lanes of one
  // chunk, and a batch of chunks is in flight so that few chunks still occupy every thread.
  const std::int64_t together = rows_together(n), groups = kSumLanes / together;
  const std::int64_t lane_block = 2 * lane_row(n), chunk_block = kSumLanes * lane_block;
  const std::int64_t chunks = (shape.rows + kSumChunk - 1) / kSumChunk;
  const std::int64_t batch = std::clamp<std::int64_t>((1 << 19) / std::max<std::int64_t>(1, chunk_block), 1, 64);
  const std::unique_ptr<Line[]> lines(new Line[std::min(batch, chunks) * chunk_block / kAlignment]);
  float* const lanes = lines[0].floats;  // each task clears its own
  std::vector<float> totals(lane_block);
  for (std::int64_t first = 0; first < chunks; first += batch) {
    const std::int64_t count_here = std::min(batch, chunks - first);
    parallel_for(shape.threads, count_here * groups, [&](std::int64_t task) {
      float* own = lanes + task * together * lane_block;
      std::fill(own, own + together * lane_block, 0.0f);
      const std::int64_t start = (first + task / groups) * kSumChunk;
      const std::int64_t stop = std::min<std::int64_t>(shape.rows, start + kSumChunk);
      for (std::int64_t row = start + task % groups * together; row < stop; row += kSumLanes) {
        const int rows = static_cast<int>(std::min(together, stop - row));
        const RowNumbers unset{Int{}};
        kernel(shared, stats + 2 * row, {grad + row * n, x + row * n, out + row * n, own, unset, unset, rows});
      }
    });
    parallel_for(shape.threads, count_here,
                 [&](std::int64_t chunk) { fold_lanes(lanes + chunk * chunk_block, lane_block); });
    parallel_for(1, 1, [&](std::int64_t) {
      for (std::int64_t chunk = 0; chunk < count_here; ++chunk)
        walk(lane_block, [&](std::int64_t i, auto span) {
          float* total = totals.data() + i;
          span.store(total, add_floats(span.load(total), span.load(lanes + chunk * chunk_block + i)));
        });
    });
  }
  walk(n, [&](std::int64_t i, auto span) {
    span.store(by_weight + i, close_total(span.load(totals.data() + i)));
    span.store(by_bias + i, close_total(span.load(totals.data() + lane_row(n) + i)));
  });
}

}  // namespace mulfree::MF_TARGET
