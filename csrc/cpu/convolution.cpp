// Convolutions as matrix products without the matrix: patches are gathered while panels are packed (patches.hpp), and
// a block of the product is computed in a buffer that stays in the cache, then written to where its entries belong.
#include "convolution.hpp"

#include <algorithm>
#include <vector>

#include "float_environment.hpp"
#include "patches.hpp"
#include "product.hpp"
#include "thin.hpp"
#include "threads.hpp"

namespace mulfree::MF_TARGET {
namespace {

constexpr std::int64_t kBlockPositions = 768;  // of a block; a multiple of every tile's width

MatmulProblem product_of(std::int64_t rows, std::int64_t columns, std::int64_t depth, int mantissa_bits,
                         std::int32_t offset) {
  MatmulProblem problem{};
  problem.rows = rows, problem.columns = columns, problem.depth = depth;
  problem.format = Format::float32;
  problem.mantissa_bits = mantissa_bits;
  problem.offset = offset;
  return problem;
}

// Neighbouring positions of a block that lie in a line in an image tensor.
struct Stretch {
  std::int64_t at, count;  // in the block
  std::int64_t offset;     // of the first in the tensor's channel 0
};

std::vector<Stretch> stretches(const Images& images, const Axis* axes, std::int64_t first, std::int64_t count) {
  std::vector<Stretch> found;
  const std::int64_t step = images.strides[2];
  std::int64_t index[kAxes], image = first;
  for (int d = kAxes - 1; d >= 0; --d) index[d] = image % axes[d].positions, image /= axes[d].positions;
  for (std::int64_t at = 0; at < count;) {
    const std::int64_t length = std::min(count - at, axes[2].positions - index[2]);
    std::int64_t offset = image * images.image_stride;
    for (int d = 0; d < kAxes; ++d) offset += index[d] * images.strides[d];
    if (!found.empty() && found.back().offset + found.back().count * step == offset) found.back().count += length;
    else found.push_back({at, length, offset});
    at += length;
    index[2] += length;
    for (int d = kAxes - 1; d >= 0 && index[d] == axes[d].positions; --d) {
      index[d] = 0;
      if (d > 0) ++index[d - 1];
      else ++image;
    }
  }
  return found;
}

class Convolution {
 public:
  explicit Convolution(const ConvolutionProblem& problem) : problem_(problem), depth_(problem.in * taps_of(problem.axes)) {}

  void run() const {
    const std::int64_t total = problem_.images * positions_of(problem_.axes);
    const int threads = threads_for(problem_.threads, problem_.groups * problem_.out * total * std::max<std::int64_t>(depth_, 1));
    // Enough blocks for all threads, at least a tile wide.
    const std::int64_t share = ceil_div(total * problem_.groups, 4 * threads);
    const std::int64_t block = std::clamp(ceil_div(share, kTileColumns) * kTileColumns, std::int64_t{kTileColumns}, kBlockPositions);
    const std::int64_t blocks = ceil_div(total, block);
    parallel_for(threads, problem_.groups * blocks, [&](std::int64_t task) {
      const std::int64_t first = task % blocks * block;
      run_block(task / blocks, first, std::min(block, total - first));
    });
  }

 private:
  void run_block(std::int64_t group, std::int64_t first, std::int64_t count) const {
    thread_local Buffer buffer, slope_buffer;
    const std::int64_t out = problem_.out;
    auto* sums = reinterpret_cast<float*>(buffer.take(out * count));
    const Patches patches(problem_.x.from_channel(group * problem_.in), problem_.axes);
    const Images result = problem_.result.from_channel(group * out);
    const std::vector<Stretch> parts = stretches(result, problem_.axes, first, count);
    const float* weight = problem_.weight + group * out * depth_;
    if (depth_ == 0) {
      std::fill_n(sums, out * count, 0.0f);
      return write(result, parts, sums, count, 1, group);
    }
    if (!problem_.slope.data) {
      MatrixLines<kTileRows> left(weight, Format::float32, depth_, 1);
      PositionLines<kTileColumns> right(patches, first);
      run_product(product_of(out, count, depth_, problem_.mantissa_bits, problem_.offset), left, right, sums, 1);
      return write(result, parts, sums, count, 1, group);
    }
    MatmulProblem product = product_of(count, out, depth_, problem_.mantissa_bits, problem_.offset);
    auto* points = reinterpret_cast<float*>(slope_buffer.take(out * count));
    read_points(group, first, count, points);
    product.slope = {points, out, 1};
    PositionLines<kTileRows> left(patches, first);
    MatrixLines<kTileColumns> right(weight, Format::float32, depth_, 1);
    run_product(product, left, right, sums, 1);
    write(result, parts, sums, 1, out, group);
  }

  // The slope's entries of a block, positions x channels.
  void read_points(std::int64_t group, std::int64_t first, std::int64_t count, float* points) const {
    const Images slope = problem_.slope.from_channel(group * problem_.out);
    for (const Stretch& part : stretches(slope, problem_.axes, first, count))
      for (std::int64_t channel = 0; channel < problem_.out; ++channel) {
        const float* source = slope.data + channel * slope.channel_stride + part.offset;
        float* target = points + part.at * problem_.out + channel;
        for (std::int64_t i = 0; i < part.count; ++i) target[i * problem_.out] = source[i * slope.strides[2]];
      }
  }

  // Writes sums[channel * channel_step + position * step] to the result.
  void write(const Images& result, const std::vector<Stretch>& parts, const float* sums, std::int64_t channel_step,
             std::int64_t step, std::int64_t group) const {
    for (std::int64_t channel = 0; channel < problem_.out; ++channel) {
      Int bias{};
      const bool biased = problem_.bias != nullptr;
      if (biased) bias = as_int(Float{} + problem_.bias[group * problem_.out + channel]);
      for (const Stretch& part : parts) {
        float* target = result.data + channel * result.channel_stride + part.offset;
        const float* source = sums + channel * channel_step + part.at * step;
        write_line(source, step, target, result.strides[2], part.count, biased ? &bias : nullptr);
      }
    }
  }

  static void write_line(const float* source, std::int64_t step, float* target, std::int64_t stride,
                         std::int64_t count, const Int* bias) {
    if (step == 1 && stride == 1) {
      for (std::int64_t i = 0; i < count; i += kLanes) {
        const Int lanes = first_lanes(std::min<std::int64_t>(count - i, kLanes));
        const Int total = load_part(source + i, lanes);
        store_part(target + i, lanes, bias ? with_bias(total, *bias) : total);
      }
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const Int total = splat(0) + as_int(Float{} + source[i * step]);
      const Int entry = bias ? with_bias(total, *bias) : total;
      std::memcpy(target + i * stride, &entry, 4);
    }
  }

  const ConvolutionProblem& problem_;
  std::int64_t depth_;
};

void convolve(const ConvolutionProblem& problem) {
  FloatEnvironment environment;
  if (is_thin(problem)) ThinConvolution(problem).run();
  else Convolution(problem).run();
}

class WeightGradient {
 public:
  explicit WeightGradient(const WeightProblem& problem) : problem_(problem) {
    single_taps(problem.axes, dense_axes_);
    depth_ = problem.images * positions_of(problem.axes);
    lines_ = problem.in * taps_of(problem.axes);
    rows_ = problem.x_is_grad ? lines_ : problem.out;
    columns_ = problem.x_is_grad ? problem.out : lines_;
  }

  // The result of a group is cut along its longer side, each part being packed by one thread.
  void run() const {
    if (rows_ == 0 || columns_ == 0) return;
    const int threads = threads_for(problem_.threads, problem_.groups * rows_ * columns_ * std::max<std::int64_t>(depth_, 1));
    const bool by_rows = rows_ > columns_;
    const std::int64_t length = by_rows ? rows_ : columns_, tile = by_rows ? kTileRows : kTileColumns;
    const std::int64_t parts = std::min(ceil_div(threads, problem_.groups), ceil_div(length, tile));
    const std::int64_t part = ceil_div(ceil_div(length, parts), tile) * tile;
    const std::int64_t count = ceil_div(length, part);
    parallel_for(threads, problem_.groups * count, [&](std::int64_t task) {
      const std::int64_t first = task % count * part, size = std::min(part, length - first);
      if (by_rows) run_part(task / count, first, size, 0, columns_);
      else run_part(task / count, 0, rows_, first, size);
    });
  }

 private:
  void run_part(std::int64_t group, std::int64_t row, std::int64_t rows, std::int64_t column,
                std::int64_t columns) const {
    thread_local Buffer buffer;
    auto* sums = reinterpret_cast<float*>(buffer.take(rows * columns));
    std::fill_n(sums, rows * columns, 0.0f);
    const Patches dense(problem_.dense.from_channel(group * problem_.out), dense_axes_);
    const Patches x(problem_.x.from_channel(group * problem_.in), problem_.axes);
    TapLines<kTileRows> left(problem_.x_is_grad ? x : dense, row);
    TapLines<kTileColumns> right(problem_.x_is_grad ? dense : x, column);
    MatmulProblem product = product_of(rows, columns, depth_, problem_.mantissa_bits, problem_.offset);
    if (problem_.slope) {
      const std::int64_t row_stride = problem_.x_is_grad ? 1 : lines_, column_stride = problem_.x_is_grad ? lines_ : 1;
      product.slope = {problem_.slope + group * rows_ * columns_ + row * row_stride + column * column_stride, row_stride,
                       column_stride};
    }
    if (depth_ > 0) run_product(product, left, right, sums, 1);
    float* result = problem_.result + group * rows_ * columns_ + row * columns_ + column;
    for (std::int64_t i = 0; i < rows; ++i) std::copy_n(sums + i * columns, columns, result + i * columns_);
  }

  const WeightProblem& problem_;
  Axis dense_axes_[kAxes];
  std::int64_t depth_, lines_, rows_, columns_;
};

void convolve_weight(const WeightProblem& problem) {
  FloatEnvironment environment;
  if (is_thin(problem)) ThinWeightGradient(problem).run();
  else WeightGradient(problem).run();
}

}  // namespace

extern const ConvolutionKernels convolution_kernels;
const ConvolutionKernels convolution_kernels{convolve, convolve_weight};

}  // namespace mulfree::MF_TARGET
