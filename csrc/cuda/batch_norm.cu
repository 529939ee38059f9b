// Batch norm: two sums over each channel, a row of passes.hpp, and a pass that normalises. The first sum is sums.cu's.
#include "passes.hpp"

namespace mulfree::MF_TARGET {

constexpr int kStats = 4;  // of a channel: mean, variance + eps, sum, sum of the centred squares

struct NormArgs {
  Rows rows;
  const std::int32_t* x;
  std::int32_t* sums;
  const std::int32_t* weight;  // or null
  const std::int32_t* bias;    // or null
  std::int32_t* out;
  std::int32_t* stats;
  std::int64_t eps, count;  // words
};

struct Squares {
  static constexpr int kSums = 1, kAhead = 8;
  Squares(const NormArgs& args, std::int64_t channel) : x(args.x), middle(args.stats[kStats * channel]) {}
  Int read(std::int64_t at) const { return x[at]; }
  Sums<1> operator()(Int v, std::int64_t, bool) const {
    const Int centred = subtract(v, middle);
    return {{mul(centred, centred)}};
  }
  const std::int32_t* x;
  Int middle;
};

struct Normalise {
  static constexpr int kSums = 0, kAhead = 4;
  Normalise(const NormArgs& args, std::int64_t channel)
      : x(args.x),
        out(args.out),
        middle(args.stats[kStats * channel]),
        root(sqrt(args.stats[kStats * channel + 1])),
        weight(args.weight ? args.weight[channel] : kOne),
        bias(args.bias ? args.bias[channel] : kSign) {}
  Int read(std::int64_t at) const { return x[at]; }
  Sums<0> operator()(Int v, std::int64_t at, bool present) const {
    if (present) out[at] = add(mul(div(subtract(v, middle), root), weight), bias).v;
    return {};
  }
  const std::int32_t* x;
  std::int32_t* out;
  Int middle, root, weight, bias;
};

MF_KERNEL(mean, NormArgs, kThreads) {
  for_rows(args, [&](std::int64_t channel) {
    const Int total = total_of_chunks(args, 0, channel);
    if (lane_number() > 0) return;
    args.stats[kStats * channel] = div(total, Int(static_cast<std::int32_t>(args.count))).v;
    args.stats[kStats * channel + 2] = total.v;
  });
}

MF_KERNEL(squares_by_lanes, NormArgs, kThreads) { by_lanes<Squares>(args); }
MF_KERNEL(squares_by_columns, NormArgs, kThreads) { by_columns<Squares>(args); }

MF_KERNEL(variance, NormArgs, kThreads) {
  for_rows(args, [&](std::int64_t channel) {
    const Int squares = total_of_chunks(args, 0, channel);
    if (lane_number() > 0) return;
    const Int variance = div(squares, Int(static_cast<std::int32_t>(args.count)));
    args.stats[kStats * channel + 1] = add(variance, Int(static_cast<std::int32_t>(args.eps))).v;
    args.stats[kStats * channel + 3] = squares.v;
  });
}

MF_KERNEL(normalise_by_lanes, NormArgs, kThreads) { by_lanes<Normalise>(args); }
MF_KERNEL(normalise_by_columns, NormArgs, kThreads) { by_columns<Normalise>(args); }

}  // namespace mulfree::MF_TARGET
