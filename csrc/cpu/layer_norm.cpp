// Layer norm and its derivatives. Every formula is written once, for every form of the operations (tame.hpp).
#include <memory>
#include <vector>

#include "row_kernels.hpp"
#include "row_tools.hpp"
#include "tame.hpp"

namespace mulfree::MF_TARGET {
namespace {

// Bounds of the tame form, in which no step overflows: magnitudes below 2^20, and the root above 2^-20 too.
constexpr std::int32_t kMost = kOne + 20 * kStep;
constexpr std::int32_t kLeastRoot = kOne - 20 * kStep;
// Bounds of the plain form, in which no step becomes too small either: weights above 2^-20, centred numbers above
// 2^-24, gradients zero or above 2^-40, the gradient by a square between 2^-90 and 2^90.
constexpr std::int32_t kLeastWeight = kLeastRoot;
constexpr std::int32_t kLeastCentred = kOne - 24 * kStep;
constexpr std::int32_t kLeastGrad = kOne - 40 * kStep;
constexpr std::int32_t kLeastBySquare = kOne - 90 * kStep;
constexpr std::int32_t kMostBySquare = kOne + 90 * kStep;

enum class Range { general, tame, plain };

Int outside(Int magnitudes, std::int32_t least, std::int32_t most) {
  return at_least_unsigned(magnitudes - least, splat(most - least));
}
bool is_tame(Int magnitudes) { return !any(magnitudes >= kMost); }
bool is_tame_root(std::int32_t root) { return kLeastRoot <= root && root < kMost; }

bool is_tame(const float* x, std::int64_t n) {
  Int reach{};
  if (x) walk(n, [&](std::int64_t i, auto span) { reach = larger(reach, magnitude(span.load(x + i))); });
  return is_tame(reach);
}

Range range_of_weight(const float* weight, std::int64_t n) {
  if (!is_tame(weight, n)) return Range::general;
  Int reached{};
  if (weight) walk(n, [&](std::int64_t i, auto span) {
    reached |= span.keep(outside(magnitude(span.load(weight + i)), kLeastWeight, kMost));
  });
  return any(reached) ? Range::tame : Range::plain;
}

// An operand that may be absent; `neutral` then stands for it without changing a bit.
struct Optional {
  const float* data;
  std::int32_t neutral;
  template <class Span>
  Int load(std::int64_t i, Span span) const { return data ? span.load(data + i) : splat(neutral); }
};

// Rows that are worked on together, so that what is one number a row is computed for several at once.
constexpr int kTogether = 8;

int rows_together(std::int64_t n) {
  return static_cast<int>(std::clamp<std::int64_t>(2048 / std::max<std::int64_t>(1, n), 1, kTogether));
}

// One number for each row; unused places hold 1, the most harmless number.
struct RowNumbers {
  RowNumbers() { std::fill(std::begin(words), std::end(words), kOne); }
  void keep(int row, Int v) { words[row] = v[0]; }
  Int operator[](int row) const { return splat(words[row]); }

  std::int32_t words[std::max(kTogether, kLanes)];
};

template <class Body, class... Numbers>
RowNumbers for_each_row(Body&& body, const Numbers&... numbers) {
  RowNumbers result;
  for (int i = 0; i < kTogether; i += kLanes) store(result.words + i, body(load(numbers.words + i)...));
  return result;
}

Int square_sum(const float* x, std::int64_t n, Int middle) {
  return sum_row(n, [&](std::int64_t i, auto span) {
    Int centred = add(span.load(x + i), middle ^ kSign);
    return mul(centred, centred);
  });
}

// The sum of squares of a row of tame numbers, and whether the plain form may centre it.
Int square_sum_tame(const float* x, std::int64_t n, Int middle, bool& plain) {
  Int least = splat(kInf);
  Int total = sum_row(n, [&](std::int64_t i, auto span) {
    Int centred = add_floats(span.load(x + i), middle ^ kSign);
    Int square = larger(centred + centred - kOne, Int{});  // what is below the smallest normal counts as zero
    least = smaller(least, square);
    return square;
  });
  plain = !any(least < kLeastCentred + kLeastCentred - kOne);
  return total;
}

template <class Form>
void normalise(const float* x, Optional weight, Optional bias, float* out, std::int64_t n, Int middle, Int root) {
  walk(n, [&](std::int64_t i, auto span) {
    Int normal = Form::div(Form::add(span.load(x + i), middle ^ kSign), root);
    span.store(out + i, Form::add(Form::mul(normal, weight.load(i, span)), bias.load(i, span)));
  });
}

// What the rows of one forward call share.
struct Forward {
  Optional weight, bias;
  Range range;  // of weight and bias
  std::int64_t n;
  Int eps, count;
};

void forward_rows(const Forward& shared, const float* x, float* out, float* stats, int rows) {
  const std::int64_t n = shared.n;
  Range ranges[kTogether];
  RowNumbers totals, squares;
  for (int row = 0; row < rows; ++row) {
    Int reach{};
    totals.keep(row, sum_row(n, [&](std::int64_t i, auto span) {
      Int v = span.load(x + row * n + i);
      reach = larger(reach, magnitude(v));
      return v;
    }));
    ranges[row] = is_tame(reach) ? Range::tame : Range::general;
  }
  const RowNumbers middles = for_each_row([&](Int total) { return div(total, shared.count); }, totals);
  for (int row = 0; row < rows; ++row) {
    bool plain = false;
    squares.keep(row, ranges[row] == Range::general ? square_sum(x + row * n, n, middles[row])
                                                    : square_sum_tame(x + row * n, n, middles[row], plain));
    if (plain) ranges[row] = Range::plain;
  }
  const RowNumbers variances =
      for_each_row([&](Int square) { return add(div(square, shared.count), shared.eps); }, squares);
  const RowNumbers roots = for_each_row([](Int variance) { return sqrt(variance); }, variances);
  for (int row = 0; row < rows; ++row) {
    const Range range = is_tame_root(roots.words[row]) ? std::min(ranges[row], shared.range) : Range::general;
    const auto result = range == Range::plain  ? normalise<Plain<true>>
                        : range == Range::tame ? normalise<Tame<true>>
                                               : normalise<General<true>>;
    result(x + row * n, shared.weight, shared.bias, out + row * n, n, middles[row], roots[row]);
    keep_stats(stats + 2 * row, middles[row], variances[row]);
  }
}

// What the rows of one backward call share.
struct Backward {
  Optional weight;
  Range range;  // of the weight
  std::int64_t n;
  Int count;
};

// One row of the backward pass, with what the steps learn about it. Loops take copies, which stay in registers.
struct Row {
  const float *grad, *x;
  float *out, *by_weight, *by_bias;
  Int middle, root;
};

struct Sums {
  Int squares{}, total{};  // of the centred numbers and of the row; only the exact derivatives of the two means look
};

// Whether a row and its gradient allow the plain form, and the sums of a row that does.
template <bool exact>
bool is_plain(const Row row, std::int64_t n, Sums& sums) {
  Int centred_reach{}, grad_most{}, grad_least = splat(-1);
  const auto inspect = [&](std::int64_t i, auto span) {
    Int v = span.load(row.x + i), g = span.load(row.grad + i);
    Int centred = add_floats(v, row.middle ^ kSign), twice = centred + centred, twice_grad = g + g;  // no signs
    centred_reach = larger_unsigned(centred_reach, twice - 2 * kLeastCentred);
    grad_most = larger_unsigned(grad_most, twice_grad);
    grad_least = smaller_unsigned(grad_least, twice_grad - 1);  // zero becomes the largest
    return Terms<2>{twice - kOne, v};
  };
  if constexpr (exact) {
    const auto [squares, total] = sum_row<2>(n, inspect);
    sums = {squares, total};
  } else {
    walk(n, inspect);
  }
  const Int most = splat(static_cast<std::int32_t>(2u * kMost));
  return !any(at_least_unsigned(centred_reach, most - 2 * kLeastCentred) | at_least_unsigned(grad_most, most) |
              ~at_least_unsigned(grad_least, splat(2 * kLeastGrad - 1)));
}

template <bool exact>
Range inspect(const Backward& shared, const Row& row, Sums& sums) {
  const std::int64_t n = shared.n;
  const bool tame_root = is_tame_root(row.root[0]);
  if (shared.range == Range::plain && tame_root && is_plain<exact>(row, n, sums)) return Range::plain;
  if constexpr (exact) {
    sums = {square_sum(row.x, n, row.middle),
            sum_row(n, [&](std::int64_t i, auto span) { return span.load(row.x + i); })};
  }
  const bool tame = shared.range != Range::general && tame_root && is_tame(magnitude(row.middle)) &&
                    is_tame(row.grad, n) && is_tame(row.x, n);
  return tame ? Range::tame : Range::general;
}

// Adds the row's terms to `by_weight` and `by_bias`, leaves the gradient by the normalised row in `out` and returns
// the one by the root.
template <class Form>
Int first_pass(const Backward shared, const Row row) {
  return sum_row(shared.n, [&](std::int64_t i, auto span) {
    Int g = span.load(row.grad + i), w = shared.weight.load(i, span);
    Int centred = Form::add(span.load(row.x + i), row.middle ^ kSign), normal = Form::div(centred, row.root);
    span.store(row.by_weight + i, add_floats(span.load(row.by_weight + i), Form::d_mul(g, w, normal)));
    span.store(row.by_bias + i, add_floats(span.load(row.by_bias + i), g));
    Int d_normal = Form::d_mul(g, normal, w);
    span.store(row.out + i, d_normal);
    return Form::d_denominator(d_normal, centred, row.root);
  });
}

// The gradient by the normalised row alone.
template <class Form>
void first_pass_again(const Backward shared, const Row row) {
  walk(shared.n, [&](std::int64_t i, auto span) {
    Int normal = Form::div(Form::add(span.load(row.x + i), row.middle ^ kSign), row.root);
    span.store(row.out + i, Form::d_mul(span.load(row.grad + i), normal, shared.weight.load(i, span)));
  });
}

// Turns `out` into the gradient by the centred row and returns the gradient by the mean.
template <class Form>
Int second_pass(const Backward shared, const Row row, Int d_square) {
  return negate(sum_row(shared.n, [&](std::int64_t i, auto span) {
    Int centred = Form::add(span.load(row.x + i), row.middle ^ kSign);
    Int by_square = Form::d_mul(d_square, centred, centred);
    Int d_centred =
        Form::add(Form::d_numerator(span.load(row.out + i), centred, row.root), Form::add(by_square, by_square));
    span.store(row.out + i, d_centred);
    return d_centred;
  }));
}

template <bool exact>
Int first_pass(const Backward& shared, const Row& row, Range range) {
  if (range == Range::plain) return first_pass<Plain<exact>>(shared, row);
  return (range == Range::tame ? first_pass<Tame<exact>> : first_pass<General<exact>>)(shared, row);
}

template <bool exact>
Int second_pass(const Backward& shared, const Row& row, Range range, Int d_square) {
  if (range == Range::plain) {
    if (!any(outside(magnitude(d_square), kLeastBySquare, kMostBySquare)))
      return second_pass<Plain<exact>>(shared, row, d_square);
    // Signs of zeros matter here and the plain form does not keep them.
    first_pass_again<Tame<exact>>(shared, row);
  }
  const bool tame = range != Range::general && !any(magnitude(d_square) >= kMostBySquare);
  return (tame ? second_pass<Tame<exact>> : second_pass<General<exact>>)(shared, row, d_square);
}

template <bool exact>
void backward_rows(const Backward& shared, const float* stats, Row* row, int rows) {
  Range ranges[kTogether];
  RowNumbers middles, variances, d_roots, squares, totals, d_means;
  for (int k = 0; k < rows; ++k) {
    middles.keep(k, splat_from(stats + 2 * k));
    variances.keep(k, splat_from(stats + 2 * k + 1));
  }
  const RowNumbers roots = for_each_row([](Int variance) { return sqrt(variance); }, variances);
  for (int k = 0; k < rows; ++k) {
    row[k].middle = middles[k];
    row[k].root = roots[k];
    Sums sums;
    ranges[k] = inspect<exact>(shared, row[k], sums);
    d_roots.keep(k, first_pass<exact>(shared, row[k], ranges[k]));
    squares.keep(k, sums.squares);
    totals.keep(k, sums.total);
  }
  const RowNumbers d_squares = for_each_row(
      [&](Int d_root, Int variance, Int square) {
        return d_numerator<exact>(d_sqrt<exact>(d_root, variance), square, shared.count);
      },
      d_roots, variances, squares);
  for (int k = 0; k < rows; ++k) d_means.keep(k, second_pass<exact>(shared, row[k], ranges[k], d_squares[k]));
  const RowNumbers d_terms = for_each_row(
      [&](Int d_mean, Int total) { return d_numerator<exact>(d_mean, total, shared.count); }, d_means, totals);
  for (int k = 0; k < rows; ++k) {
    const Int d_term = d_terms[k];
    float* out = row[k].out;
    walk(shared.n, [&](std::int64_t i, auto span) { span.store(out + i, add(span.load(out + i), d_term)); });
  }
}

// lanes[0] = the sum of 32 lanes of n entries each, as a tree.
void fold_lanes(float* lanes, std::int64_t n) {
  for (std::int64_t width = kSumLanes / 2; width > 0; width /= 2)
    walk(width * n, [&](std::int64_t i, auto span) {
      span.store(lanes + i, add_floats(span.load(lanes + i), span.load(lanes + width * n + i)));
    });
}

}  // namespace

void layer_norm(const float* x, const float* weight, const float* bias, float* out, float* stats, RowsShape shape,
                std::int32_t eps, std::int32_t count) {
  const std::int64_t n = shape.n;
  const Range range = is_tame(bias, n) ? range_of_weight(weight, n) : Range::general;
  const Forward shared{{weight, kOne}, {bias, kSign}, range, n, splat(eps), splat(count)};
  const int together = rows_together(n);
  const std::int64_t step = (rows_per_task(n) + together - 1) / together * together;
  parallel_for(shape.threads, (shape.rows + step - 1) / step, [&](std::int64_t task) {
    const std::int64_t stop = std::min(shape.rows, (task + 1) * step);
    for (std::int64_t row = task * step; row < stop; row += together) {
      const int rows = static_cast<int>(std::min<std::int64_t>(together, stop - row));
      forward_rows(shared, x + row * n, out + row * n, stats + 2 * row, rows);
    }
  });
}

void layer_norm_grad(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                     float* by_weight, float* by_bias, RowsShape shape, std::int32_t count, bool exact) {
  const std::int64_t n = shape.n;
  const Backward shared{{weight, kOne}, range_of_weight(weight, n), n, splat(count)};
  const auto rows_kernel = exact ? backward_rows<true> : backward_rows<false>;
  const int together = rows_together(n);
  // The gradients by weight and bias are sums over rows: one task takes the rows of a few neighbouring lanes of one
  // chunk, and a batch of chunks is in flight so that few chunks still occupy every thread.
  constexpr std::int64_t group = 8, groups = kSumLanes / group;
  const std::int64_t lane_block = 2 * n, chunk_block = kSumLanes * lane_block;
  const std::int64_t chunks = (shape.rows + kSumChunk - 1) / kSumChunk;
  const std::int64_t batch = std::clamp<std::int64_t>((1 << 19) / std::max<std::int64_t>(1, chunk_block), 1, 64);
  const std::unique_ptr<float[]> lanes(new float[std::min(batch, chunks) * chunk_block]);  // each task clears its own
  std::vector<float> totals(lane_block);
  for (std::int64_t first = 0; first < chunks; first += batch) {
    const std::int64_t count_here = std::min(batch, chunks - first);
    parallel_for(shape.threads, count_here * groups, [&](std::int64_t task) {
      float* own = lanes.get() + task * group * lane_block;
      std::fill(own, own + group * lane_block, 0.0f);
      const std::int64_t start = (first + task / groups) * kSumChunk;
      const std::int64_t stop = std::min<std::int64_t>(shape.rows, start + kSumChunk);
      for (std::int64_t block = start + task % groups * group; block < stop; block += kSumLanes)
        for (std::int64_t row = block; row < std::min(stop, block + group); row += together) {
          const int rows = static_cast<int>(std::min<std::int64_t>(together, std::min(stop, block + group) - row));
          Row each[kTogether];
          for (int k = 0; k < rows; ++k) {
            float* lane = own + (row + k - block) * lane_block;
            const std::int64_t at = (row + k) * n;
            each[k] = {grad + at, x + at, out + at, lane, lane + n, Int{}, Int{}};
          }
          rows_kernel(shared, stats + 2 * row, each, rows);
        }
    });
    parallel_for(shape.threads, count_here,
                 [&](std::int64_t chunk) { fold_lanes(lanes.get() + chunk * chunk_block, lane_block); });
    parallel_for(1, 1, [&](std::int64_t) {
      for (std::int64_t chunk = 0; chunk < count_here; ++chunk)
        walk(lane_block, [&](std::int64_t i, auto span) {
          float* total = totals.data() + i;
          span.store(total, add_floats(span.load(total), span.load(lanes.get() + chunk * chunk_block + i)));
        });
    });
  }
  walk(n, [&](std::int64_t i, auto span) {
    span.store(by_weight + i, close_total(span.load(totals.data() + i)));
    span.store(by_bias + i, close_total(span.load(totals.data() + n + i)));
  });
}

}  // namespace mulfree::MF_TARGET
