// Batch norm and its derivatives. A channel is the row of layer norm that its numbers make up in the order (batch,
// position), with one weight and one bias; it is laid into a buffer and worked on there.
#include <memory>
#include <type_traits>

#include "row_kernels.hpp"
#include "row_tools.hpp"
#include "tame.hpp"

namespace mulfree::MF_TARGET {
namespace {

// Bounds of the tame form: magnitudes below 2^20 and the root above 2^-20; of the plain form: the weight above 2^-20,
// centred numbers above 2^-24, gradients zero or above 2^-40, the gradient by a square between 2^-90 and 2^90.
constexpr std::int32_t kMost = kOne + 20 * kStep;
constexpr std::int32_t kLeast = kOne - 20 * kStep;
constexpr std::int32_t kLeastCentred = kOne - 24 * kStep;
constexpr std::int32_t kLeastGrad = kOne - 40 * kStep;
constexpr std::int32_t kLeastBySquare = kOne - 90 * kStep;
constexpr std::int32_t kMostBySquare = kOne + 90 * kStep;

enum class Range { general, tame, plain };

bool is_within(Int v, std::int32_t least, std::int32_t most) {
  const std::int32_t word = v[0] & kMagnitude;
  return least <= word && word < most;
}
bool are_tame(Int magnitudes) { return !any(magnitudes >= kMost); }

// Channels that one task lays out together: neighbours in memory where a channel has few positions.
constexpr std::int64_t kTogether = 16;

std::int64_t channels_together(const ChannelsShape& shape) { return shape.positions < kTogether ? kTogether : 1; }

// Rows lie a little apart, lest a power of two of positions put them all into the same lines of the cache.
std::int64_t stride(const ChannelsShape& shape) { return shape.row() + kTogether; }

// copy(place in x, place in the rows, length) for each run of positions of a group of channels.
template <class Copy>
void for_runs(const ChannelsShape& shape, std::int64_t first, std::int64_t channels, Copy&& copy) {
  const std::int64_t length = shape.positions, row = shape.row();
  if (length == 1) {  // 16 numbers at a time, so that the rows take whole cache lines
    for (std::int64_t start = 0; start < row; start += kTogether)
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t b = start; b < std::min(row, start + kTogether); ++b)
          copy(b * shape.channels + first + c, c * stride(shape) + b, std::integral_constant<std::int64_t, 1>{});
    return;
  }
  for (std::int64_t b = 0; b < shape.batch; ++b)
    for (std::int64_t c = 0; c < channels; ++c)
      copy((b * shape.channels + first + c) * length, c * stride(shape) + b * length, length);
}

void lay_out(const float* x, float* rows, const ChannelsShape& shape, std::int64_t first, std::int64_t channels) {
  for_runs(shape, first, channels,
           [&](std::int64_t there, std::int64_t here, auto length) { std::copy_n(x + there, length, rows + here); });
}

void lay_back(const float* rows, float* out, const ChannelsShape& shape, std::int64_t first, std::int64_t channels) {
  for_runs(shape, first, channels,
           [&](std::int64_t there, std::int64_t here, auto length) { std::copy_n(rows + here, length, out + there); });
}

// body(first channel, number of channels, buffer of `buffers` rows for each) for each group of channels.
template <class Body>
void for_channels(const ChannelsShape& shape, int buffers, Body&& body) {
  const std::int64_t together = channels_together(shape);
  parallel_for(shape.threads, (shape.channels + together - 1) / together, [&](std::int64_t task) {
    const std::int64_t first = task * together, channels = std::min(together, shape.channels - first);
    const std::unique_ptr<float[]> rows(new float[buffers * channels * stride(shape)]);
    body(first, channels, rows.get());
  });
}

Int parameter(const float* values, std::int64_t channel, std::int32_t neutral) {
  return values ? splat_from(values + channel) : splat(neutral);
}

template <class Form>
void normalise(float* row, std::int64_t n, Int middle, Int root, Int weight, Int bias) {
  walk(n, [&](std::int64_t i, auto span) {
    Int normal = Form::div(Form::add(span.load(row + i), middle ^ kSign), root);
    span.store(row + i, Form::add(Form::mul(normal, weight), bias));
  });
}

// The sum of squares of a row of tame numbers, and whether the plain form may centre it.
Int square_sum_tame(const float* row, std::int64_t n, Int middle, bool& plain) {
  Int least = splat(kInf);
  Int total = sum_row(n, [&](std::int64_t i, auto span) {
    Int centred = add_floats(span.load(row + i), middle ^ kSign);
    Int square = larger(centred + centred - kOne, Int{});  // what is below the smallest normal counts as zero
    least = smaller(least, square);
    return square;
  });
  plain = !any(least < kLeastCentred + kLeastCentred - kOne);
  return total;
}

Int square_sum(const float* row, std::int64_t n, Int middle) {
  return sum_row(n, [&](std::int64_t i, auto span) {
    Int centred = add(span.load(row + i), middle ^ kSign);
    return mul(centred, centred);
  });
}

void forward_row(float* row, float* stats, std::int64_t n, Int weight, Int bias, Int eps, Int count) {
  Int reach{};
  const Int total = sum_row(n, [&](std::int64_t i, auto span) {
    Int v = span.load(row + i);
    reach = larger(reach, magnitude(v));
    return v;
  });
  const Int middle = div(total, count);
  bool plain = false;
  const bool tame = are_tame(reach);
  const Int squares = tame ? square_sum_tame(row, n, middle, plain) : square_sum(row, n, middle);
  const Int variance = add(div(squares, count), eps), root = sqrt(variance);
  const bool bounded = tame && is_within(root, kLeast, kMost) && is_within(weight, 0, kMost) && is_within(bias, 0, kMost);
  if (bounded && plain && is_within(weight, kLeast, kMost)) normalise<Plain<true>>(row, n, middle, root, weight, bias);
  else (bounded ? normalise<Tame<true>> : normalise<General<true>>)(row, n, middle, root, weight, bias);
  const std::int32_t words[kChannelStats] = {middle[0], variance[0], total[0], squares[0]};
  std::memcpy(stats, words, sizeof words);
}

// What the backward pass knows of a channel.
struct Channel {
  float *grad, *x;  // rows; the gradient by x takes the place of `grad`
  std::int64_t n;
  Int weight, middle, variance, total, squares, count, root;
};

template <bool exact>
Range inspect(const Channel& channel) {
  if (!is_within(channel.root, kLeast, kMost) || !is_within(channel.weight, 0, kMost) ||
      !is_within(channel.middle, 0, kMost))
    return Range::general;
  Int x_reach{}, grad_reach{}, centred_reach{}, grad_least = splat(-1);
  walk(channel.n, [&](std::int64_t i, auto span) {
    Int v = span.load(channel.x + i), g = magnitude(span.load(channel.grad + i));
    Int centred = magnitude(add_floats(v, channel.middle ^ kSign));
    x_reach = larger(x_reach, magnitude(v));
    grad_reach = larger(grad_reach, g);
    centred_reach = larger_unsigned(centred_reach, span.keep(centred - kLeastCentred));
    grad_least = smaller_unsigned(grad_least, g - 1);  // zero becomes the largest
  });
  if (!are_tame(x_reach) || !are_tame(grad_reach)) return Range::general;
  const bool plain = is_within(channel.weight, kLeast, kMost) &&
                     !any(at_least_unsigned(centred_reach, splat(kMost - kLeastCentred))) &&
                     !any(~at_least_unsigned(grad_least, splat(kLeastGrad - 1)));
  return plain ? Range::plain : Range::tame;
}

// Gradients by weight, bias and root.
template <class Form>
Terms<3> first_pass(const Channel channel) {
  return sum_row<3>(channel.n, [&](std::int64_t i, auto span) {
    Int g = span.load(channel.grad + i), centred = Form::add(span.load(channel.x + i), channel.middle ^ kSign);
    Int normal = Form::div(centred, channel.root), d_normal = Form::d_mul(g, normal, channel.weight);
    return Terms<3>{Form::unless_zero(g, Form::d_mul(g, channel.weight, normal)), g,
                    Form::unless_zero(g, Form::d_denominator(d_normal, centred, channel.root))};
  });
}

// Puts the gradient by the centred row in the place of the incoming one and returns the gradient by the mean.
template <class Form>
Int second_pass(const Channel channel, Int d_square) {
  return negate(sum_row(channel.n, [&](std::int64_t i, auto span) {
    Int g = span.load(channel.grad + i), centred = Form::add(span.load(channel.x + i), channel.middle ^ kSign);
    Int d_normal = Form::d_mul(g, Form::div(centred, channel.root), channel.weight);
    Int by_square = Form::d_mul(d_square, centred, centred);
    Int by_normal = Form::unless_zero(g, Form::d_numerator(d_normal, centred, channel.root));
    Int d_centred = Form::add(by_normal, Form::add(by_square, by_square));
    span.store(channel.grad + i, d_centred);
    return d_centred;
  }));
}

template <bool exact>
void backward_row(Channel channel, float* by_weight, float* by_bias) {
  channel.root = sqrt(channel.variance);
  const Range range = inspect<exact>(channel);
  const auto first = range == Range::plain  ? first_pass<Plain<exact>>
                     : range == Range::tame ? first_pass<Tame<exact>>
                                            : first_pass<General<exact>>;
  const auto [d_weight, d_bias, d_root] = first(channel);
  keep(by_weight, d_weight);
  keep(by_bias, d_bias);
  const Int d_square =
      d_numerator<exact>(d_sqrt<exact>(d_root, channel.variance), channel.squares, channel.count);
  const bool bounded = is_within(d_square, 0, kMostBySquare);
  const auto second = range == Range::plain && bounded && is_within(d_square, kLeastBySquare, kMostBySquare)
                          ? second_pass<Plain<exact>>
                      : range != Range::general && bounded ? second_pass<Tame<exact>>
                                                           : second_pass<General<exact>>;
  const Int d_mean = second(channel, d_square);
  const Int d_term = d_numerator<exact>(d_mean, channel.total, channel.count);
  float* row = channel.grad;
  walk(channel.n, [&](std::int64_t i, auto span) { span.store(row + i, add(span.load(row + i), d_term)); });
}

}  // namespace

void batch_norm(const float* x, const float* weight, const float* bias, float* out, float* stats, ChannelsShape shape,
                std::int32_t eps, std::int32_t count) {
  for_channels(shape, 1, [&](std::int64_t first, std::int64_t channels, float* rows) {
    lay_out(x, rows, shape, first, channels);
    for (std::int64_t c = 0; c < channels; ++c)
      forward_row(rows + c * stride(shape), stats + kChannelStats * (first + c), shape.row(),
                  parameter(weight, first + c, kOne), parameter(bias, first + c, kSign), splat(eps), splat(count));
    lay_back(rows, out, shape, first, channels);
  });
}

void batch_norm_grad(const float* grad, const float* x, const float* weight, const float* stats, float* out,
                     float* by_weight, float* by_bias, ChannelsShape shape, std::int32_t count, bool exact) {
  const auto row_kernel = exact ? backward_row<true> : backward_row<false>;
  for_channels(shape, 2, [&](std::int64_t first, std::int64_t channels, float* rows) {
    float* x_rows = rows + channels * stride(shape);
    lay_out(grad, rows, shape, first, channels);
    lay_out(x, x_rows, shape, first, channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      const float* own = stats + kChannelStats * (first + c);
      row_kernel({rows + c * stride(shape), x_rows + c * stride(shape), shape.row(), parameter(weight, first + c, kOne),
                  splat_from(own), splat_from(own + 1), splat_from(own + 2), splat_from(own + 3), splat(count), Int{}},
                 by_weight + first + c, by_bias + first + c);
    }
    lay_back(rows, out, shape, first, channels);
  });
}

}  // namespace mulfree::MF_TARGET
