// Convolutions with hardly any output channels in a group, depthwise ones above all: each word of a patch meets one
// or two weights, so packing panels would cost more than the products. Products are taken one vector at a time by the
// complete law (arithmetic.hpp); where the words lie is found once for all channels.
#pragma once
#include <vector>

#include "arithmetic.hpp"
#include "patches.hpp"
#include "threads.hpp"

namespace mulfree::MF_TARGET {

constexpr std::int64_t kThin = 2;    // output channels of a group, up to here
constexpr int kThinVectors = 4;      // of positions, side by side

inline bool is_thin(const ConvolutionProblem& problem) {
  return problem.out <= kThin && problem.mantissa_bits == 23 && problem.in * taps_of(problem.axes) <= kDotChunk;
}

inline bool is_thin(const WeightProblem& problem) {
  return problem.out <= kThin && problem.in <= kThin && problem.mantissa_bits == 23;
}

class ThinConvolution {
 public:
  explicit ThinConvolution(const ConvolutionProblem& problem)
      : problem_(problem), taps_(taps_of(problem.axes)), offset_(problem.offset), x_(problem.x, problem.axes),
        result_(problem.result, places()), slope_(problem.slope, places()), shifts_(taps_) {
    for (std::int64_t t = 0; t < taps_; ++t) {
      std::int64_t tap[kAxes];
      x_.split(t, tap);
      shifts_[t] = x_.shift(0, tap);
    }
  }

  void run() const {
    const std::int64_t total = problem_.images * positions_of(problem_.axes), block = kThinVectors * kLanes;
    const int threads = threads_for(problem_.threads, problem_.groups * problem_.out * total * problem_.in * taps_);
    parallel_for(threads, ceil_div(total, block), [&](std::int64_t task) {
      run_block(task * block, static_cast<int>(std::min(block, total - task * block)));
    });
  }

 private:
  const Axis* places() {
    single_taps(problem_.axes, places_);
    return places_;
  }

  void run_block(std::int64_t first, int count) const {
    thread_local Buffer buffer;
    const int vectors = static_cast<int>(ceil_div(count, kLanes));
    Points x[kThinVectors], result[kThinVectors], slope[kThinVectors];
    std::int32_t* present = buffer.take(taps_ * kThinVectors * kLanes);
    for (int v = 0; v < vectors; ++v) {
      const std::int64_t position = first + v * kLanes;
      const int here = std::min(count - v * kLanes, kLanes);
      x_.locate(position, here, &x[v]);
      result_.locate(position, here, &result[v]);
      if (problem_.slope.data) slope_.locate(position, here, &slope[v]);
      for (std::int64_t t = 0; t < taps_; ++t) {
        std::int64_t tap[kAxes];
        x_.split(t, tap);
        store(present + (t * kThinVectors + v) * kLanes, x_.present(x[v], tap));
      }
    }
    for (std::int64_t channel = 0; channel < problem_.groups * problem_.out; ++channel) {
      Int sums[kThinVectors] = {}, points[kThinVectors] = {};
      if (problem_.slope.data) {
        for (int v = 0; v < vectors; ++v)
          points[v] = slope_.read(slope[v], slope[v].exist, channel * problem_.slope.channel_stride);
        add_terms(channel, vectors, x, present, sums, [&](Int word, Int weight, int v) {
          return mul_grad(word, points[v], weight, offset_);
        });
      } else {
        add_terms(channel, vectors, x, present, sums,
                  [&](Int word, Int weight, int) { return mul(word, weight, offset_); });
      }
      for (int v = 0; v < vectors; ++v) {
        Int total = add(sums[v], Int{});
        if (problem_.bias) total = with_bias(total, as_int(Float{} + problem_.bias[channel]));
        result_.write(result[v], channel * problem_.result.channel_stride, total);
      }
    }
  }

  template <class Term>
  void add_terms(std::int64_t channel, int vectors, const Points* x, const std::int32_t* present, Int* sums,
                 Term&& term) const {
    const float* weight = problem_.weight + channel * problem_.in * taps_;
    const std::int64_t first = channel / problem_.out * problem_.in;
    for (std::int64_t c = 0; c < problem_.in; ++c)
      for (std::int64_t t = 0; t < taps_; ++t) {
        const Int factor = as_int(Float{} + weight[c * taps_ + t]);
        const std::int64_t shift = shifts_[t] + (first + c) * problem_.x.channel_stride;
        for (int v = 0; v < vectors; ++v) {
          const Int lanes = load(present + (t * kThinVectors + v) * kLanes);
          sums[v] = add_floats(sums[v], term(x_.read(x[v], lanes, shift), factor, v) & lanes);
        }
      }
  }

  const ConvolutionProblem& problem_;
  std::int64_t taps_;
  Offset offset_;
  Axis places_[kAxes];
  Patches x_, result_, slope_;
  std::vector<std::int64_t> shifts_;  // of the taps
};

// The entries of the result are lines, in the order of memory; a chunk of positions gives each as many terms, which
// are turned so that lines lie side by side and each is added up in ascending order.
class ThinWeightGradient {
 public:
  explicit ThinWeightGradient(const WeightProblem& problem)
      : problem_(problem), taps_(taps_of(problem.axes)), depth_(problem.images * positions_of(problem.axes)),
        offset_(problem.offset), dense_(problem.dense, places()), x_(problem.x, problem.axes) {}

  void run() const {
    const std::int64_t lines = problem_.groups * problem_.out * problem_.in * taps_;
    if (lines == 0) return;
    const int threads = threads_for(problem_.threads, lines * depth_);
    const std::int64_t share = ceil_div(ceil_div(lines, threads), kLanes) * kLanes;
    parallel_for(threads, ceil_div(lines, share), [&](std::int64_t task) {
      run_lines(task * share, std::min(share, lines - task * share));
    });
  }

 private:
  // Where a line of the result gets its terms.
  struct Line {
    std::int64_t dense, x, tap;  // shifts, and the tap's number
    std::int32_t point;
  };

  const Axis* places() {
    single_taps(problem_.axes, places_);
    return places_;
  }

  Line line_at(std::int64_t number) const {
    const std::int64_t per_channel = problem_.in * taps_;
    const std::int64_t group = number / (problem_.out * per_channel), within = number % (problem_.out * per_channel);
    // The result is transposed where x is the gradient.
    const std::int64_t out = problem_.x_is_grad ? within % problem_.out : within / per_channel;
    const std::int64_t patch = problem_.x_is_grad ? within / problem_.out : within % per_channel;
    std::int64_t tap[kAxes];
    x_.split(patch % taps_, tap);
    const std::int64_t channel = group * problem_.out + out;
    Line line{channel * problem_.dense.channel_stride, x_.shift(group * problem_.in + patch / taps_, tap),
              patch % taps_, 0};
    if (problem_.slope) std::memcpy(&line.point, problem_.slope + channel * per_channel + patch, 4);
    return line;
  }

  void run_lines(std::int64_t first, std::int64_t count) const {
    thread_local Buffer buffer;
    std::vector<Line> lines(count);
    for (std::int64_t i = 0; i < count; ++i) lines[i] = line_at(first + i);
    std::vector<float> totals(ceil_div(count, kLanes) * kLanes, 0.0f);
    Points dense[kDotChunk / kLanes], x[kDotChunk / kLanes];
    std::int32_t* present = buffer.take(taps_ * kDotChunk);
    for (std::int64_t k = 0; k < depth_; k += kDotChunk) {
      const int depth = static_cast<int>(std::min<std::int64_t>(kDotChunk, depth_ - k));
      for (int at = 0; at < depth; at += kLanes) {
        const int v = at / kLanes, here = std::min(depth - at, kLanes);
        dense_.locate(k + at, here, &dense[v]);
        x_.locate(k + at, here, &x[v]);
        for (std::int64_t t = 0; t < taps_; ++t) {
          std::int64_t tap[kAxes];
          x_.split(t, tap);
          store(present + t * kDotChunk + at, x_.present(x[v], tap));
        }
      }
      for (std::int64_t i = 0; i < count; i += kLanes)
        add_chunk(&lines[i], static_cast<int>(std::min<std::int64_t>(kLanes, count - i)), depth, dense, x, present,
                  &totals[i]);
    }
    for (std::int64_t i = 0; i < count; i += kLanes) {
      const Int lanes = first_lanes(std::min<std::int64_t>(count - i, kLanes));
      store_part(problem_.result + first + i, lanes, add(load(&totals[i]), Int{}));
    }
  }

  void add_chunk(const Line* lines, int count, int depth, const Points* dense, const Points* x,
                 const std::int32_t* present, float* totals) const {
    alignas(64) std::int32_t terms[kLanes][kDotChunk], turned[kDotChunk * kLanes];
    for (int i = 0; i < count; ++i) {
      const Line& line = lines[i];
      for (int at = 0; at < depth; at += kLanes) {
        const Int lanes = load(present + line.tap * kDotChunk + at);
        const Int a = dense_.read(dense[at / kLanes], dense[at / kLanes].exist, line.dense);
        const Int b = x_.read(x[at / kLanes], lanes, line.x);
        store(&terms[i][at], term(a, b, line.point) & lanes);
      }
    }
    pack<kLanes>(terms, Format::float32, kDotChunk, 1, count, depth, turned);
    Int sum{};
    for (int k = 0; k < depth; ++k) sum = add_floats(sum, load(turned + k * kLanes));
    store(totals, add_floats(load(totals), sum));
  }

  Int term(Int dense, Int x, std::int32_t point) const {
    if (!problem_.slope) return mul(dense, x, offset_);
    return problem_.x_is_grad ? mul_grad(x, splat(point), dense, offset_) : mul_grad(dense, splat(point), x, offset_);
  }

  const WeightProblem& problem_;
  std::int64_t taps_, depth_;
  Offset offset_;
  Axis places_[kAxes];
  Patches dense_, x_;
};

}  // namespace mulfree::MF_TARGET
