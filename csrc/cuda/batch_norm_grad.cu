// Derivatives of batch norm, exact if MF_EXACT: sums of three gradients over each channel, a row of passes.hpp, then the
// gradient by the centred numbers with its sum, then the gradient by the mean added to it.
#include "passes.hpp"

namespace mulfree::MF_TARGET {

constexpr int kStats = 4;  // of a channel: mean, variance + eps, sum, sum of the centred squares
constexpr bool kExact = MF_EXACT;

struct NormGradArgs {
  Rows rows;
  const std::int32_t* grad;
  const std::int32_t* x;
  const std::int32_t* weight;  // or null
  const std::int32_t* stats;
  std::int32_t* sums;     // of chunks, three for each
  std::int32_t* factors;  // of channels: the gradient by a square, later that by a number through the mean
  std::int32_t* by_x;
  std::int32_t* by_weight;
  std::int32_t* by_bias;
  std::int64_t count;  // a word
};

struct Pair {
  Int grad, x;
};

// A number of a channel with the gradient by its normalised value.
struct Channel {
  Channel(const NormGradArgs& args, std::int64_t channel)
      : grads(args.grad),
        xs(args.x),
        middle(args.stats[kStats * channel]),
        root(sqrt(args.stats[kStats * channel + 1])),
        weight(args.weight ? args.weight[channel] : kOne) {}
  Pair read(std::int64_t at) const { return {grads[at], xs[at]}; }
  const std::int32_t* grads;
  const std::int32_t* xs;
  Int middle, root, weight;
};

// Gradients by weight, bias and root.
struct First : Channel {
  static constexpr int kSums = 3, kAhead = 4;
  using Channel::Channel;
  Sums<3> operator()(const Pair& v, std::int64_t, bool) const {
    const Int centred = subtract(v.x, middle), normal = div(centred, root);
    const Int d_normal = d_mul<kExact>(v.grad, normal, weight);
    return {{d_mul<kExact>(v.grad, weight, normal), v.grad, d_denominator<kExact>(d_normal, centred, root)}};
  }
};

// Writes the gradient by the centred number.
struct Second : Channel {
  static constexpr int kSums = 1, kAhead = 4;
  Second(const NormGradArgs& args, std::int64_t channel)
      : Channel(args, channel), d_square(args.factors[channel]), out(args.by_x) {}
  Sums<1> operator()(const Pair& v, std::int64_t at, bool present) const {
    const Int centred = subtract(v.x, middle);
    const Int d_normal = d_mul<kExact>(v.grad, div(centred, root), weight);
    const Int by_square = d_mul<kExact>(d_square, centred, centred);
    const Int d_centred = add(d_numerator<kExact>(d_normal, centred, root), add(by_square, by_square));
    if (present) out[at] = d_centred.v;
    return {{d_centred}};
  }
  Int d_square;
  std::int32_t* out;
};

struct Third {
  static constexpr int kSums = 0, kAhead = 4;
  Third(const NormGradArgs& args, std::int64_t channel) : out(args.by_x), d_term(args.factors[channel]) {}
  Int read(std::int64_t at) const { return out[at]; }
  Sums<0> operator()(Int v, std::int64_t at, bool present) const {
    if (present) out[at] = add(v, d_term).v;
    return {};
  }
  std::int32_t* out;
  Int d_term;
};

MF_KERNEL(first_by_lanes, NormGradArgs, kThreads) { by_lanes<First>(args); }
MF_KERNEL(first_by_columns, NormGradArgs, kThreads) { by_columns<First>(args); }

MF_KERNEL(after_first, NormGradArgs, kThreads) {
  for_rows(args, [&](std::int64_t channel) {
    const Int d_weight = total_of_chunks(args, 0, channel), d_bias = total_of_chunks(args, 1, channel);
    const Int d_root = total_of_chunks(args, 2, channel);
    if (lane_number() > 0) return;
    args.by_weight[channel] = d_weight.v;
    args.by_bias[channel] = d_bias.v;
    const Int variance = args.stats[kStats * channel + 1], squares = args.stats[kStats * channel + 3];
    const Int count = static_cast<std::int32_t>(args.count);
    args.factors[channel] = d_numerator<kExact>(d_sqrt<kExact>(d_root, variance), squares, count).v;
  });
}

MF_KERNEL(second_by_lanes, NormGradArgs, kThreads) { by_lanes<Second>(args); }
MF_KERNEL(second_by_columns, NormGradArgs, kThreads) { by_columns<Second>(args); }

MF_KERNEL(after_second, NormGradArgs, kThreads) {
  for_rows(args, [&](std::int64_t channel) {
    const Int d_mean = negate(total_of_chunks(args, 0, channel));
    if (lane_number() > 0) return;
    const Int total = args.stats[kStats * channel + 2], count = static_cast<std::int32_t>(args.count);
    args.factors[channel] = d_numerator<kExact>(d_mean, total, count).v;
  });
}

MF_KERNEL(third_by_lanes, NormGradArgs, kThreads) { by_lanes<Third>(args); }
MF_KERNEL(third_by_columns, NormGradArgs, kThreads) { by_columns<Third>(args); }

}  // namespace mulfree::MF_TARGET
