// Interface of the convolution kernels; the law is in docs/spec.md, section 6, and numerics/convolution.py.
#pragma once
#include <cstdint>

namespace mulfree {

constexpr int kAxes = 3;  // spatial dimensions; fewer are filled up with ones of one element in front

// The patches along one dimension: tap t of position j lies at element start + j * step + t * tap_step, and does not
// exist outside [0, size).
struct Axis {
  std::int64_t size, positions, start, step, taps, tap_step;
};

// Images of float32 words anywhere in memory: (image, channel, spatial dimensions); strides in elements.
struct Images {
  float* data;
  std::int64_t image_stride, channel_stride, strides[kAxes];

  Images from_channel(std::int64_t channel) const {
    Images other = *this;
    other.data += channel * channel_stride;
    return other;
  }
};

// Per group, result[n, o, j] = sum over (c, t) of x[n, c, patch j at t] * weight[o, (c, t)] (+ bias[o]); with `slope`
// images of the result's shape the sum of the exact derivatives of the products slope * weight by slope, times x.
struct ConvolutionProblem {
  Images x, result, slope;  // slope.data is null for products
  const float* weight;      // groups x out x (in * taps)
  const float* bias;        // null or groups * out
  Axis axes[kAxes];
  std::int64_t images, groups, in, out;  // channels of a group
  int mantissa_bits;
  std::int32_t offset;
  int threads;
};

// Per group, result[o, (c, t)] = sum over (n, j) of dense[n, o, j] * x[n, c, patch j at t]; with `slope` the sum of the
// exact derivatives of the products of slope[o, (c, t)] with one of the two, times the other, the gradient: x if
// `x_is_grad`. The result then is transposed, (c, t) x o.
struct WeightProblem {
  Images dense, x;
  const float* slope;  // groups x out x (in * taps), null for products
  float* result;       // likewise
  Axis axes[kAxes];
  std::int64_t images, groups, in, out;
  bool x_is_grad;
  int mantissa_bits;
  std::int32_t offset;
  int threads;
};

struct ConvolutionKernels {
  void (*convolve)(const ConvolutionProblem& problem);
  void (*convolve_weight)(const WeightProblem& problem);
};

}  // namespace mulfree
