// Matrix products: blocks, panels, tiles. Panels of one chunk of the depth are packed and surveyed, an encoding is
// chosen for the chunk (windows.hpp), and each tile runs the fastest loop that is exact for its two panels.
#include "matmul.hpp"

#include <atomic>
#include <memory>
#include <vector>

#include "float_environment.hpp"
#include "product.hpp"
#include "skinny.hpp"
#include "threads.hpp"
#include "tiles.hpp"
#include "totals.hpp"

namespace mulfree::MF_TARGET {
namespace {

constexpr std::int64_t kBlockRows = 1536, kBlockColumns = 1536;  // of a product, packed at a time
constexpr std::int64_t kLeftBytesPerJob = 128 * 1024;            // left panels a job keeps in the second-level cache

constexpr int kLoops = 5;
std::atomic<std::int64_t> counts[kLoops];

TileCounts take_tile_counts() {
  return {counts[0].exchange(0), counts[1].exchange(0), counts[2].exchange(0), counts[3].exchange(0),
          counts[4].exchange(0)};
}

struct Workspace {
  Panels<kTileRows> left;
  Panels<kTileColumns> right;
};

template <bool Slopes>
class Product {
 public:
  Product(const MatmulProblem& problem, LeftSource& left, RightSource& right, const Matrix& slope, float* out,
          int threads, Workspace& space)
      : problem_(problem), left_(left), right_(right), slope_(slope), out_(out), threads_(threads), space_(space),
        slack_(Slopes ? std::abs(std::int64_t{problem.offset}) + 2 * kStep : 0) {}

  void run() {
    for (std::int64_t row = 0; row < problem_.rows; row += kBlockRows)
      for (std::int64_t column = 0; column < problem_.columns; column += kBlockColumns)
        for (std::int64_t k = 0; k < problem_.depth; k += kDotChunk) run_chunk(row, column, k);
  }

 private:
  void run_chunk(std::int64_t row, std::int64_t column, std::int64_t k) {
    row_ = row, column_ = column, k_ = k;
    depth_ = static_cast<int>(std::min<std::int64_t>(kDotChunk, problem_.depth - k));
    auto& left = space_.left;
    auto& right = space_.right;
    left.resize(std::min(kBlockRows, problem_.rows - row), true);
    right.resize(std::min(kBlockColumns, problem_.columns - column), false);
    left_.start_chunk(k, depth_);
    right_.start_chunk(k, depth_);
    each(left.count + right.count, [&](std::int64_t i) {
      if (i < left.count) load_left(i);
      else load_right(i - left.count);
    });
    encode_panels();
    const std::int64_t group = std::max<std::int64_t>(1, kLeftBytesPerJob / (4 * kTileRows * kDotChunk));
    const std::int64_t row_groups = (left.count + group - 1) / group;
    const std::int64_t per_row_group = std::max<std::int64_t>(1, std::min<std::int64_t>(right.count, 4 * threads_));
    each(row_groups * per_row_group, [&](std::int64_t job) {
      const std::int64_t part = job % per_row_group, first = job / per_row_group * group;
      run_tiles(first, std::min(first + group, left.count), right.count * part / per_row_group,
                right.count * (part + 1) / per_row_group);
    });
  }

  void load_left(std::int64_t panel) {
    space_.left.load_panel(panel, left_, row_, k_, depth_, problem_.mantissa_bits,
                           static_cast<std::int32_t>(product_bias()));
    adjust_left(space_.left.spans[panel]);
  }

  // From magnitudes to what enters the sum of a product.
  void adjust_left(Span& span) const {
    if (span.empty()) return;
    const std::int64_t bias = product_bias();
    span.low += bias, span.high += bias;
    span.special |= std::abs(std::int64_t{problem_.offset}) > kLargestOffset;
  }

  void load_right(std::int64_t panel) {
    space_.right.load_panel(panel, right_, column_, k_, depth_, problem_.mantissa_bits, 0);
    adjust_right(space_.right.spans[panel]);
  }

  void adjust_right(Span& span) const {
    if (!Slopes || span.empty()) return;
    // What enters the sum is the exponent of the word plus a mantissa and the offset; that must not leave the word.
    span.low = floor_step(span.low + problem_.offset);
    span.high = floor_step(span.high + problem_.offset) + kStep;
    span.special |= span.low < 0 || span.high + kStep > INT32_MAX;
  }

  // What turns the sum of two magnitudes into that of their product (or of a slope and a gradient).
  std::int64_t product_bias() const { return Slopes ? -std::int64_t{kOne} : std::int64_t{problem_.offset} - kOne; }

  void encode_panels() {
    auto& left = space_.left;
    auto& right = space_.right;
    all_left_ = whole(left.spans);
    all_right_ = whole(right.spans);
    purge_strays();
    code_ = {};
    if (all_left_.zero || all_right_.zero) {
      code_ = choose_encoding(left.spans, right.spans, slack_);
      if (all_right_.zero) right.encoded = right.encoded_buffer.take(right.count * right.kStride);
      const auto bias = static_cast<std::int32_t>(product_bias() + code_.scale);
      each(left.count + (all_right_.zero ? right.count : 0), [&](std::int64_t i) {
        if (i < left.count) left.encode_panel(i, depth_, bias, code_.left_zero);
        else right.encode_panel(i - left.count, depth_, 0, code_.right_zero);
      });
    }
    // Mostly one decision serves all tiles.
    all_fast_ = choose_loop(all_left_, all_right_, code_, slack_, !Slopes) == Loop::fast;
  }

  // Operands that can only give products below the smallest normal become zeros, which they are in effect.
  void purge_strays() {
    auto& left = space_.left;
    auto& right = space_.right;
    if (all_left_.empty() || all_right_.empty() || all_left_.low + all_right_.low >= kMin) return;
    const std::int64_t left_high = all_left_.high, right_high = all_right_.high;
    each(left.count + right.count, [&](std::int64_t i) {
      if (i < left.count) {
        if (left.spans[i].low + right_high >= kMin) return;
        left.purge_panel(i, depth_, kMin - right_high - product_bias());
        adjust_left(left.spans[i]);
      } else if (Span& span = right.spans[i - left.count]; span.low + left_high < kMin) {
        right.purge_panel(i - left.count, depth_, kMin - left_high - (Slopes ? kStep + problem_.offset : 0));
        adjust_right(span);
      }
    });
    all_left_ = whole(left.spans);
    all_right_ = whole(right.spans);
  }

  Undo undo(const Span& left, const Span& right) const {
    if (!(left.zero || right.zero || code_.scale)) return {};
    const std::int64_t lowest = floor_step(left.low + right.low + code_.scale);
    return {static_cast<std::int32_t>(lowest) - 23 * kStep, static_cast<std::int32_t>(code_.scale)};
  }

  void run_tiles(std::int64_t first_row, std::int64_t last_row, std::int64_t first_column, std::int64_t last_column) {
    std::int64_t served[kLoops] = {};
    alignas(64) std::int32_t tile[kTileSize], points[kTileSize], mantissas[kTileSize];
    const auto& left = space_.left;
    const auto& right = space_.right;
    thread_local Buffer masking_buffer;
    auto* masking = reinterpret_cast<MaskingLeft*>(
        masking_buffer.take((last_row - first_row) * static_cast<std::int64_t>(sizeof(MaskingLeft) / 4)));
    std::vector<bool> prepared(last_row - first_row);  // of them
    std::vector<std::int64_t> clamping;  // left panels
    for (std::int64_t j = first_column; j < last_column; ++j) {
      clamping.clear();
      for (std::int64_t i = first_row; i < last_row; ++i) {
        const Span &a = all_fast_ ? all_left_ : left.spans[i], &b = all_fast_ ? all_right_ : right.spans[j];
        const Destination to = destination(i, j);
        Loop loop = all_fast_ ? Loop::fast : choose_loop(a, b, code_, slack_, !Slopes);
        if (Slopes && load_points(to, points, mantissas)) loop = Loop::scalar;
        ++served[static_cast<int>(loop)];
        if (loop == Loop::clamping) {
          clamping.push_back(i);
          continue;
        }
        prefetch(to);
        if (loop == Loop::fast) {
          run_fast(to, left.encoded + i * left.kStride, right.encoded + j * right.kStride, mantissas, tile);
          add_to_totals(tile, to, undo(a, b));
          continue;
        }
        if (loop == Loop::masking) {
          MaskingLeft& operand = masking[i - first_row];
          if (!prepared[i - first_row])
            prepare_left(depth_, left.raw + i * left.kStride, static_cast<std::int32_t>(product_bias()), &operand);
          prepared[i - first_row] = true;
          masking_tile(depth_, operand, right.raw + j * right.kStride, tile);
          add_to_totals(tile, to, {});
          continue;
        }
        if (loop == Loop::empty) std::fill_n(tile, kTileSize, 0);
        else run_scalar(i, j, to, Slopes ? points : nullptr, tile);
        add_to_totals(tile, to, {});
      }
      if (!clamping.empty()) run_clamping(clamping, j);
    }
    for (int loop = 0; loop < kLoops; ++loop)
      if (served[loop]) counts[loop] += served[loop];
  }

  // The tiles of one column of panels that need the clamping loop, part by part of the chunk.
  void run_clamping(const std::vector<std::int64_t>& rows, std::int64_t j) {
    thread_local Buffer sums_buffer;
    alignas(64) static thread_local ClampingLeft clamping_left;
    alignas(64) static thread_local ClampingRight clamping_right;
    alignas(64) std::int32_t points[kTileSize], mantissas[kTileSize];
    const auto& left = space_.left;
    const auto& right = space_.right;
    const std::int64_t count = static_cast<std::int64_t>(rows.size());
    std::int32_t* sums = sums_buffer.take(count * kTileSize);
    std::fill_n(sums, count * kTileSize, 0);
    const auto bias = static_cast<std::int32_t>(product_bias()) + kShiftedZero;
    for (int k = 0; k < depth_; k += kClampingDepth) {
      const int depth = std::min(kClampingDepth, depth_ - k);
      prepare_right(depth, right.raw + j * right.kStride + k * kTileColumns, &clamping_right);
      for (std::int64_t n = 0; n < count; ++n) {
        const std::int64_t i = rows[n];
        if (Slopes) load_points(destination(i, j), points, mantissas);
        prepare_left(depth, left.raw + i * left.kStride + k * kTileRows, bias, &clamping_left);
        (left.spans[i].zero || right.spans[j].zero ? clamping_tile<Slopes, true> : clamping_tile<Slopes, false>)(
            depth, clamping_left, clamping_right, mantissas, sums + n * kTileSize);
      }
    }
    for (std::int64_t n = 0; n < count; ++n) add_to_totals(sums + n * kTileSize, destination(rows[n], j), {});
  }

  void run_scalar(std::int64_t i, std::int64_t j, const Destination& to, const std::int32_t* points,
                  std::int32_t* tile) const {
    thread_local Buffer left_buffer, right_buffer;
    std::int32_t *rows = left_buffer.take(space_.left.kStride), *columns = right_buffer.take(space_.right.kStride);
    if (!left_.mark(row_ + i * kTileRows, to.rows, k_, depth_, rows)) rows = nullptr;
    if (!right_.mark(column_ + j * kTileColumns, to.columns, k_, depth_, columns)) columns = nullptr;
    scalar_tile(depth_, space_.left.raw + i * space_.left.kStride, space_.right.raw + j * space_.right.kStride, points,
                rows, columns, problem_.offset, tile);
  }

  // Runs body(0 .. count-1), shared between the threads of this product.
  template <class Body>
  void each(std::int64_t count, Body&& body) {
    if (threads_ > 1) return parallel_for(threads_, count, body);
    for (std::int64_t i = 0; i < count; ++i) body(i);
  }

  void run_fast(const Destination& to, const std::int32_t* left, const std::int32_t* right,
                const std::int32_t* mantissas, std::int32_t* tile) const {
    if constexpr (Slopes) {
      fast_slope_tile<kTileRows>(depth_, left, right, mantissas, tile);
    } else {
      fast_tile(to.rows, to.columns, depth_, left, right, tile);
    }
  }

  Destination destination(std::int64_t i, std::int64_t j) const {
    const std::int64_t row = row_ + i * kTileRows, column = column_ + j * kTileColumns;
    return {out_ + row * problem_.columns + column,
            problem_.bias ? problem_.bias + column : nullptr,
            problem_.columns,
            static_cast<int>(std::min<std::int64_t>(kTileRows, problem_.rows - row)),
            static_cast<int>(std::min<std::int64_t>(kTileColumns, problem_.columns - column)),
            k_ == 0,
            k_ + depth_ == problem_.depth};
  }

  // The words of the tile's own entries in the slope matrix, and their mantissas plus the offset. True if any is
  // infinite or NaN.
  bool load_points(const Destination& to, std::int32_t* points, std::int32_t* mantissas) const {
    const std::int64_t at = to.out - out_, row = at / problem_.columns, column = at % problem_.columns;
    const Matrix corner =
        slope_.shifted(row * slope_.row_stride + column * slope_.column_stride, problem_.format);
    if (to.rows < kTileRows) std::fill_n(points, kTileSize, 0);
    pack<kTileColumns>(corner.data, problem_.format, corner.column_stride, corner.row_stride, to.columns, to.rows,
                       points);
    const bool special = survey(points, kTileSize, problem_.mantissa_bits, 0, nullptr).special;
    encode_mantissas(points, mantissas);
    return special;
  }

  void encode_mantissas(const std::int32_t* points, std::int32_t* mantissas) const {
    for (int i = 0; i < kTileSize; i += kLanes)
      store(mantissas + i, (load(points + i) & splat(kMantissa)) + splat(problem_.offset));
  }

  const MatmulProblem& problem_;
  LeftSource& left_;
  RightSource& right_;
  Matrix slope_;
  float* out_;
  int threads_;
  Workspace& space_;
  std::int64_t slack_;
  std::int64_t row_ = 0, column_ = 0, k_ = 0;
  int depth_ = 0;
  Encoding code_;
  Span all_left_, all_right_;
  bool all_fast_ = false;
};

std::int64_t batch_offset(const MatmulProblem& problem, const std::int64_t* strides, std::int64_t index) {
  std::int64_t offset = 0;
  for (int d = problem.batch_dims - 1; d >= 0; --d) {
    offset += index % problem.batch_sizes[d] * strides[d];
    index /= problem.batch_sizes[d];
  }
  return offset;
}

// A product without terms: zeros, plus the bias.
void fill_empty(const MatmulProblem& problem, float* out) {
  for (std::int64_t i = 0; i < problem.rows; ++i)
    for (std::int64_t j = 0; j < problem.columns; ++j) {
      const float total = problem.bias ? 0.0f + problem.bias[j] : 0.0f;
      std::memcpy(out + i * problem.columns + j, total == total ? static_cast<const void*>(&total) : &kNan, 4);
    }
}

void run_one(const MatmulProblem& problem, std::int64_t index, int threads) {
  const Format format = problem.format;
  const Matrix left = problem.left.shifted(batch_offset(problem, problem.left_strides, index), format);
  const Matrix right = problem.right.shifted(batch_offset(problem, problem.right_strides, index), format);
  float* out = problem.out + index * problem.rows * problem.columns;
  if (problem.depth == 0) return fill_empty(problem, out);
  if (!problem.slope.data && is_skinny(problem, right) && skinny_product(problem, left, right, out, threads)) return;
  MatrixLines<kTileRows> rows(left.data, format, left.row_stride, left.column_stride);
  MatrixLines<kTileColumns> columns(right.data, format, right.column_stride, right.row_stride);
  if (!problem.slope.data) return run_product(problem, rows, columns, out, threads);
  MatmulProblem shifted = problem;
  shifted.slope = problem.slope.shifted(batch_offset(problem, problem.slope_strides, index), format);
  run_product(shifted, rows, columns, out, threads);
}

// Too few products to be worth waking other threads.
bool is_small(const MatmulProblem& problem, std::int64_t batch) {
  std::int64_t products = 1;
  for (const std::int64_t size : {batch, problem.rows, problem.columns, problem.depth})
    if (__builtin_mul_overflow(products, size, &products)) return false;
  return products < 1 << 16;
}

void matmul(const MatmulProblem& problem) {
  FloatEnvironment environment;
  std::int64_t batch = 1;
  for (int d = 0; d < problem.batch_dims; ++d) batch *= problem.batch_sizes[d];
  if (batch == 0 || problem.rows == 0 || problem.columns == 0) return;
  const bool share_each = batch < 2 * problem.threads;
  const int threads = is_small(problem, batch) ? 1 : problem.threads;
  if (share_each) {
    for (std::int64_t i = 0; i < batch; ++i) run_one(problem, i, threads);
  } else {
    parallel_for(threads, batch, [&](std::int64_t i) { run_one(problem, i, 1); });
  }
}

}  // namespace

void run_product(const MatmulProblem& problem, LeftSource& left, RightSource& right, float* out, int threads) {
  thread_local Workspace space;
  if (problem.slope.data) Product<true>(problem, left, right, problem.slope, out, threads, space).run();
  else Product<false>(problem, left, right, {}, out, threads, space).run();
}

extern const MatmulKernels matmul_kernels;
const MatmulKernels matmul_kernels{matmul, take_tile_counts};

}  // namespace mulfree::MF_TARGET
