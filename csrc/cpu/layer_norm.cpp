// Layer norm and its derivatives. Every formula is written once, for both forms of the operations (tame.hpp).
#include <vector>

#include "row_kernels.hpp"
#include "row_tools.hpp"
#include "tame.hpp"

namespace mulfree::MF_TARGET {
namespace {

// Bounds within which no step overflows: magnitudes below 2^20, and the root above 2^-20 too.
constexpr std::int32_t kMost = kOne + 20 * kStep;
constexpr std::int32_t kLeastRoot = kOne - 20 * kStep;

bool is_tame(Int magnitudes) { return !any(magnitudes >= kMost); }
bool is_tame_root(Int root) { return !any(at_least_unsigned(root - kLeastRoot, splat(kMost - kLeastRoot))); }

bool is_tame(const float* x, std::int64_t n) {
  Int reach{};
  if (x) walk(n, [&](std::int64_t i, auto span) { reach = larger(reach, magnitude(span.load(x + i))); });
  return is_tame(reach);
}

// An operand that may be absent; `neutral` then stands for it without changing a bit.
struct Optional {
  const float* data;
  std::int32_t neutral;
  template <class Span>
  Int load(std::int64_t i, Span span) const { return data ? span.load(data + i) : splat(neutral); }
};

template <class Form>
Int square_sum(const float* x, std::int64_t n, Int middle) {
  return sum_row(n, [&](std::int64_t i, auto span) {
    Int centred = Form::add(span.load(x + i), middle ^ kSign);
    return Form::mul(centred, centred);
  });
}

template <class Form>
void normalise(const float* x, Optional weight, Optional bias, float* out, std::int64_t n, Int middle, Int root) {
  walk(n, [&](std::int64_t i, auto span) {
    Int normal = Form::div(Form::add(span.load(x + i), middle ^ kSign), root);
    span.store(out + i, Form::add(Form::mul(normal, weight.load(i, span)), bias.load(i, span)));
  });
}

// What the rows of one backward call share.
struct Gradients {
  const float* weight;
  bool tame_weight;
  std::int64_t n;
  Int count;
};

// One row of the backward pass; adds its terms to `by_weight` and `by_bias`.
template <class Form, bool exact>
void backward_row(const Gradients& shared, const float* grad, const float* x, Int middle, Int variance, Int root,
                  float* out, float* by_weight, float* by_bias) {
  const Optional weight{shared.weight, kOne};
  const auto centred_at = [&](std::int64_t i, auto span) { return Form::add(span.load(x + i), middle ^ kSign); };
  const auto [d_root, squares, total] = sum_row<3>(shared.n, [&](std::int64_t i, auto span) {
    Int g = span.load(grad + i), w = weight.load(i, span), v = span.load(x + i);
    Int centred = Form::add(v, middle ^ kSign), normal = Form::div(centred, root);
    span.store(by_weight + i, add_floats(span.load(by_weight + i), Form::d_mul(g, w, normal)));
    span.store(by_bias + i, add_floats(span.load(by_bias + i), g));
    Int d_normal = Form::d_mul(g, normal, w);
    span.store(out + i, d_normal);
    // Only the exact derivatives of the two means look at their sums.
    return Terms<3>{Form::d_denominator(d_normal, centred, root), exact ? Form::mul(centred, centred) : Int{},
                    exact ? v : Int{}};
  });
  Int d_square = d_numerator<exact>(d_sqrt<exact>(d_root, variance), squares, shared.count);
  Int d_mean = negate(sum_row(shared.n, [&](std::int64_t i, auto span) {
    Int centred = centred_at(i, span);
    Int by_square = Form::d_mul(d_square, centred, centred);
    Int d_centred = Form::add(Form::d_numerator(span.load(out + i), centred, root), Form::add(by_square, by_square));
    span.store(out + i, d_centred);
    return d_centred;
  }));
  Int d_term = d_numerator<exact>(d_mean, total, shared.count);
  walk(shared.n, [&](std::int64_t i, auto span) { span.store(out + i, add(span.load(out + i), d_term)); });
}

template <bool exact>
void backward(const Gradients& shared, const float* grad, const float* x, const float* stats, float* out,
              float* by_weight, float* by_bias) {
  Int middle = splat_from(stats), variance = splat_from(stats + 1), root = sqrt(variance);
  const bool tame = shared.tame_weight && is_tame_root(root) && is_tame(magnitude(middle)) &&
                    is_tame(grad, shared.n) && is_tame(x, shared.n);
  (tame ? backward_row<Tame<exact>, exact> : backward_row<General<exact>, exact>)(shared, grad, x, middle, variance,
                                                                                  root, out, by_weight, by_bias);
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
  const bool tame_operands = is_tame(weight, n) && is_tame(bias, n);
  for_rows(shape, [&](std::int64_t row) {
    const float* own = x + row * n;
    Int reach{};
    Int total = sum_row(n, [&](std::int64_t i, auto span) {
      Int v = span.load(own + i);
      reach = larger(reach, magnitude(v));
      return v;
    });
    const bool tame = is_tame(reach);
    Int middle = div(total, splat(count));
    Int squares = (tame ? square_sum<Tame<true>> : square_sum<General<true>>)(own, n, middle);
    Int variance = add(div(squares, splat(count)), splat(eps)), root = sqrt(variance);
    const auto result = tame && tame_operands && is_tame_root(root) ? normalise<Tame<true>> : normalise<General<true>>;
    result(own, {weight, kOne}, {bias, kSign}, out + row * n, n, middle, root);
    keep_stats(stats + 2 * row, middle, variance);
  });
}

void layer_norm_grad(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                     float* by_weight, float* by_bias, RowsShape shape, std::int32_t count, bool exact) {
  const std::int64_t n = shape.n;
  const Gradients shared{weight, is_tame(weight, n), n, splat(count)};
  const auto row_kernel = exact ? backward<true> : backward<false>;
  // The gradients by weight and bias are sums over rows: one task takes the rows of a few neighbouring lanes of one
  // chunk, and a batch of chunks is in flight so that few chunks still occupy every thread.
  constexpr std::int64_t group = 8, groups = kSumLanes / group;
  const std::int64_t lane_block = 2 * n, chunk_block = kSumLanes * lane_block;
  const std::int64_t chunks = (shape.rows + kSumChunk - 1) / kSumChunk;
  const std::int64_t batch = std::clamp<std::int64_t>((1 << 19) / std::max<std::int64_t>(1, chunk_block), 1, 64);
  std::vector<float> lanes(std::min(batch, std::max<std::int64_t>(1, chunks)) * chunk_block);
  std::vector<float> totals(lane_block);
  for (std::int64_t first = 0; first < chunks; first += batch) {
    const std::int64_t count_here = std::min(batch, chunks - first);
    parallel_for(shape.threads, count_here * groups, [&](std::int64_t task) {
      float* own = lanes.data() + task * group * lane_block;
      std::fill(own, own + group * lane_block, 0.0f);
      const std::int64_t start = (first + task / groups) * kSumChunk;
      const std::int64_t stop = std::min<std::int64_t>(shape.rows, start + kSumChunk);
      for (std::int64_t block = start + task % groups * group; block < stop; block += kSumLanes)
        for (std::int64_t row = block; row < std::min(stop, block + group); ++row) {
          float* lane = own + (row - block) * lane_block;
          row_kernel(shared, grad + row * n, x + row * n, stats + 2 * row, out + row * n, lane, lane + n);
        }
    });
    parallel_for(shape.threads, count_here,
                 [&](std::int64_t chunk) { fold_lanes(lanes.data() + chunk * chunk_block, lane_block); });
    parallel_for(1, 1, [&](std::int64_t) {
      for (std::int64_t chunk = 0; chunk < count_here; ++chunk)
        walk(lane_block, [&](std::int64_t i, auto span) {
          float* total = totals.data() + i;
          span.store(total, add_floats(span.load(total), span.load(lanes.data() + chunk * chunk_block + i)));
        });
    });
  }
  walk(n, [&](std::int64_t i, auto span) {
    span.store(by_weight + i, close_total(span.load(totals.data() + i)));
    span.store(by_bias + i, close_total(span.load(totals.data() + n + i)));
  });
}

}  // namespace mulfree::MF_TARGET
