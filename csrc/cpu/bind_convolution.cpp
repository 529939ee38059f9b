#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "binding.hpp"
#include "convolution.hpp"
#include "dispatch.hpp"

namespace mulfree {
namespace {

namespace nb = nanobind;
using Numbers = std::vector<std::int64_t>;

// Images come as [address, image stride, channel stride, spatial strides]; the address 0 stands for none.
Images place(const Numbers& images) {
  if (images.size() != 3 + kAxes) throw std::invalid_argument("images are [address, five strides]");
  Images placed{reinterpret_cast<float*>(images[0]), images[1], images[2], {}};
  std::copy(images.begin() + 3, images.end(), placed.strides);
  return placed;
}

template <class Problem>
void set_sizes(Problem& problem, const std::vector<Numbers>& axes, const Numbers& sizes, int mantissa_bits,
               std::int32_t offset, int threads) {
  if (axes.size() != kAxes || sizes.size() != 4) throw std::invalid_argument("three axes and four sizes are needed");
  for (int d = 0; d < kAxes; ++d) {
    const Numbers& a = axes[d];
    const Axis axis{a.at(0), a.at(1), a.at(2), a.at(3), a.at(4), a.at(5)};
    const std::int64_t reach = axis.positions * axis.step + axis.taps * std::abs(axis.tap_step);
    if (std::max(axis.size, std::abs(axis.start) + reach) > INT32_MAX)
      throw std::invalid_argument("a dimension of more than 2^31 elements");
    problem.axes[d] = axis;
  }
  problem.images = sizes[0], problem.groups = sizes[1], problem.in = sizes[2], problem.out = sizes[3];
  problem.mantissa_bits = mantissa_bits;
  problem.offset = offset;
  problem.threads = threads;
}

void convolve(const Numbers& x, std::uintptr_t weight, std::uintptr_t bias, const Numbers& slope, const Numbers& result,
              const std::vector<Numbers>& axes, const Numbers& sizes, int mantissa_bits, std::int32_t offset,
              int threads) {
  ConvolutionProblem problem{};
  problem.x = place(x);
  problem.slope = place(slope);
  problem.result = place(result);
  problem.weight = reinterpret_cast<const float*>(weight);
  problem.bias = reinterpret_cast<const float*>(bias);
  set_sizes(problem, axes, sizes, mantissa_bits, offset, threads);
  nb::gil_scoped_release release;
  current().convolution->convolve(problem);
}

void convolve_weight(const Numbers& dense, const Numbers& x, std::uintptr_t slope, std::uintptr_t result,
                     const std::vector<Numbers>& axes, const Numbers& sizes, bool x_is_grad, int mantissa_bits,
                     std::int32_t offset, int threads) {
  WeightProblem problem{};
  problem.dense = place(dense);
  problem.x = place(x);
  problem.slope = reinterpret_cast<const float*>(slope);
  problem.result = reinterpret_cast<float*>(result);
  problem.x_is_grad = x_is_grad;
  set_sizes(problem, axes, sizes, mantissa_bits, offset, threads);
  nb::gil_scoped_release release;
  current().convolution->convolve_weight(problem);
}

}  // namespace

void bind_convolution(nb::module_& m) {
  m.def("convolve", &convolve);
  m.def("convolve_weight", &convolve_weight);
}

}  // namespace mulfree
