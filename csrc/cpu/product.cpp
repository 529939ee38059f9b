// One matrix product: blocks, panels, tiles. Panels of one chunk of the depth are packed and surveyed, an encoding is
// chosen for the chunk (windows.hpp), and each tile runs the fastest loop that is exact for its two panels.
#include "product.hpp"

#include <atomic>
#include <vector>

#include "panels.hpp"
#include "references.hpp"
#include "slopes.hpp"
#include "threads.hpp"
#include "tiles.hpp"
#include "totals.hpp"

namespace mulfree::MF_TARGET {
namespace {

constexpr std::int64_t kBlockRows = 1536, kBlockColumns = 1536;  // of a product, packed at a time
constexpr std::int64_t kLeftBytesPerJob = 128 * 1024;            // left panels a job keeps in the second-level cache
constexpr std::int64_t kSampledRows = 256;                       // of an operand's chunk, to choose limits

constexpr int kLoops = 3;
std::atomic<std::int64_t> counts[kLoops];

struct Workspace {
  Panels<kTileRows> left;
  Panels<kTileColumns> right;
  std::vector<LeftReferences> references;
};

template <bool Slopes>
class Product {
 public:
  Product(const MatmulProblem& problem, LeftSource& left, RightSource& right, float* out, int threads,
          Workspace& space)
      : problem_(problem), left_(left), right_(right), out_(out), threads_(threads), space_(space),
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
    mark_panels();
    if (!Slopes && !all_fast_) prepare_references();
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
    Span& span = space_.left.spans[panel];  // from magnitudes to what enters the sum of a product
    if (!span.empty()) span.low += product_bias(), span.high += product_bias();
  }

  void load_right(std::int64_t panel) {
    space_.right.load_panel(panel, right_, column_, k_, depth_, problem_.mantissa_bits, 0);
    Span& span = space_.right.spans[panel];
    if (!Slopes || span.empty()) return;
    // What enters the sum is the exponent of the word plus a mantissa and the offset.
    span.low = floor_step(span.low + problem_.offset);
    span.high = floor_step(span.high + problem_.offset) + kStep;
  }

  // What turns the sum of two magnitudes into that of their product (or of a slope and a gradient).
  std::int64_t product_bias() const { return Slopes ? -std::int64_t{kOne} : std::int64_t{problem_.offset} - kOne; }

  void encode_panels() {
    auto& left = space_.left;
    auto& right = space_.right;
    all_left_ = whole(left.spans);
    all_right_ = whole(right.spans);
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
    all_fast_ = choose_loop(all_left_, all_right_, code_, slack_) == Loop::fast;
  }

  // Entries that are missing are zeros in the panels, which is the same but beside infinities and NaNs.
  void mark_panels() {
    auto& left = space_.left;
    auto& right = space_.right;
    left.present = right.present = nullptr;
    if (left_.complete() && right_.complete()) return;
    if (k_ == 0) special_points_ = Slopes && any_special_point();
    if (!special_points_ && !all_left_.special && !all_right_.special) return;
    if (!left_.complete()) left.present = left.present_buffer.take(left.count * left.kStride);
    if (!right_.complete()) right.present = right.present_buffer.take(right.count * right.kStride);
    each(left.count + right.count, [&](std::int64_t i) {
      if (i < left.count) left.mark_panel(i, left_, row_, k_, depth_);
      else right.mark_panel(i - left.count, right_, column_, k_, depth_);
    });
  }

  bool any_special_point() const {
    alignas(64) std::int32_t points[kTileSize];
    for (std::int64_t i = 0; i < space_.left.count; ++i)
      for (std::int64_t j = 0; j < space_.right.count; ++j)
        if (load_points(destination(i, j), points)) return true;
    return false;
  }

  Present present(std::int64_t i, std::int64_t j) const {
    const auto *left = space_.left.present, *right = space_.right.present;
    return {left ? left + i * space_.left.kStride : nullptr, right ? right + j * space_.right.kStride : nullptr};
  }

  void prepare_references() {
    limits_ = sampled_limits();
    auto& references = space_.references;
    if (space_.left.count > static_cast<std::int64_t>(references.size())) references.resize(space_.left.count);
    each(space_.left.count, [&](std::int64_t i) {
      references[i].prepare(depth_, space_.left.raw + i * space_.left.kStride,
                            static_cast<std::int32_t>(product_bias()), limits_);
    });
  }

  Limits sampled_limits() const {
    std::vector<std::int32_t> lefts, leasts, greatests;
    space_.left.sample(depth_, kSampledRows, [&](const std::int32_t* row) {
      lefts.insert(lefts.end(), row, row + kTileRows);
    });
    space_.right.sample(depth_, kSampledRows, [&](const std::int32_t* row) {
      std::int32_t least = INT32_MAX, greatest = 0;
      for (int v = 0; v < kTileColumns; ++v) {
        const std::int32_t magnitude = row[v] & kMagnitude;
        if (magnitude) least = std::min(least, magnitude);
        greatest = std::max(greatest, magnitude);
      }
      leasts.push_back(least), greatests.push_back(greatest);
    });
    return choose_limits(Exponents(lefts), Exponents(leasts), Exponents(greatests), product_bias());
  }

  Undo undo(const Span& left, const Span& right) const {
    if (!(left.zero || right.zero || code_.scale)) return {};
    const std::int64_t lowest = floor_step(left.low + right.low + code_.scale);
    return {static_cast<std::int32_t>(lowest) - 23 * kStep, static_cast<std::int32_t>(code_.scale)};
  }

  void run_tiles(std::int64_t first_row, std::int64_t last_row, std::int64_t first_column, std::int64_t last_column) {
    std::int64_t served[kLoops] = {};
    std::vector<std::int64_t> general;  // left panels whose tile with the right one takes that loop
    for (std::int64_t j = first_column; j < last_column; ++j) {
      general.clear();
      for (std::int64_t i = first_row; i < last_row; ++i) {
        const Loop loop =
            all_fast_ ? Loop::fast : choose_loop(space_.left.spans[i], space_.right.spans[j], code_, slack_);
        ++served[static_cast<int>(loop)];
        if (loop == Loop::general) general.push_back(i);
        else if (loop == Loop::fast) run_fast(i, j);
        else run_empty(i, j);
      }
      if (!general.empty()) run_general(general, j);
    }
    for (int loop = 0; loop < kLoops; ++loop)
      if (served[loop]) counts[loop] += served[loop];
  }

  void run_empty(std::int64_t i, std::int64_t j) const {
    alignas(64) std::int32_t tile[kTileSize] = {}, points[kTileSize];
    const Destination to = destination(i, j);
    if (Slopes && load_points(to, points)) spread_nans(points, depth_, present(i, j), tile);
    add_to_totals(tile, to, {});
  }

  void run_fast(std::int64_t i, std::int64_t j) const {
    alignas(64) std::int32_t tile[kTileSize];
    const std::int32_t* left = space_.left.encoded + i * space_.left.kStride;
    const std::int32_t* right = space_.right.encoded + j * space_.right.kStride;
    const Destination to = destination(i, j);
    Undo to_undo = all_fast_ ? undo(all_left_, all_right_) : undo(space_.left.spans[i], space_.right.spans[j]);
    prefetch(to);
    if constexpr (Slopes) {
      alignas(64) std::int32_t points[kTileSize], mantissas[kTileSize];
      const bool special = load_points(to, points);
      mantissas_of(points, problem_.offset, mantissas);
      fast_slope_tile<kTileRows>(depth_, left, right, mantissas, tile);
      if (special) {  // NaNs have no scale
        for (int at = 0; at < kTileSize; at += kLanes) store(tile + at, undone(load(tile + at), to_undo));
        spread_nans(points, depth_, present(i, j), tile);
        to_undo = {};
      }
    } else {
      fast_tile(to.rows, to.columns, depth_, left, right, tile);
    }
    add_to_totals(tile, to, to_undo);
  }

  // The tiles of one right panel that need it, part by part of the chunk.
  void run_general(const std::vector<std::int64_t>& rows, std::int64_t j) const {
    thread_local Buffer sums_buffer;
    const std::int64_t count = static_cast<std::int64_t>(rows.size());
    std::int32_t* sums = sums_buffer.take(count * kTileSize);
    std::fill_n(sums, count * kTileSize, 0);
    if constexpr (Slopes) sum_slopes(rows, j, sums);
    else sum_products(rows, j, sums);
    for (std::int64_t n = 0; n < count; ++n) add_to_totals(sums + n * kTileSize, destination(rows[n], j), {});
  }

  void sum_products(const std::vector<std::int64_t>& rows, std::int64_t j, std::int32_t* sums) const {
    static thread_local RightPart own_part;
    RightPart& right = own_part;  // looked up once
    const auto bias = static_cast<std::int32_t>(product_bias());
    const Span& span = space_.right.spans[j];
    for (int k = 0, part = 0; k < depth_; k += kPartDepth, ++part) {
      const int depth = std::min(kPartDepth, depth_ - k);
      const std::int32_t* words = space_.right.raw + j * space_.right.kStride + k * kTileColumns;
      right.prepare(depth, words, span, limits_);
      for (std::size_t n = 0; n < rows.size(); ++n) {
        const std::int64_t i = rows[n];
        const std::int32_t* left_words = space_.left.raw + i * space_.left.kStride + k * kTileRows;
        right.add_terms(depth, space_.references[i].parts[part], left_words, bias, span.zero,
                        span.special || space_.left.spans[i].special, present(i, j).from(k), sums + n * kTileSize);
      }
    }
  }

  void sum_slopes(const std::vector<std::int64_t>& rows, std::int64_t j, std::int32_t* sums) const {
    alignas(64) GeneralLeft left;
    GeneralRight right;
    alignas(64) std::int32_t points[kTileSize], mantissas[kTileSize];
    for (int k = 0; k < depth_; k += kGeneralDepth) {
      const int depth = std::min(kGeneralDepth, depth_ - k);
      const std::int32_t* right_words = space_.right.raw + j * space_.right.kStride + k * kTileColumns;
      right.prepare(depth, right_words, problem_.offset);
      for (std::size_t n = 0; n < rows.size(); ++n) {
        const std::int64_t i = rows[n];
        const std::int32_t* left_words = space_.left.raw + i * space_.left.kStride + k * kTileRows;
        std::int32_t* tile = sums + n * kTileSize;
        const Present present_here = present(i, j).from(k);
        if (load_points(destination(i, j), points)) spread_nans(points, depth, present_here, tile);
        mantissas_of(points, 0, mantissas);
        left.prepare(depth, left_words);
        // Where a right entry is missing the loop would add the left one, if that is special.
        const bool masked = present_here.right && space_.left.spans[i].special;
        (masked ? general_slope_tile<true> : general_slope_tile<false>)(depth, left, right, mantissas, tile);
        if (space_.left.spans[i].special || space_.right.spans[j].special)
          spread_nans(depth, left_words, right_words, present_here, tile);
      }
    }
  }

  // The words of the tile's own entries in the slope matrix. True if any is infinite or NaN.
  bool load_points(const Destination& to, std::int32_t* points) const {
    const std::int64_t at = to.out - out_, row = at / problem_.columns, column = at % problem_.columns;
    const Matrix& slope = problem_.slope;
    const Matrix corner = slope.shifted(row * slope.row_stride + column * slope.column_stride, problem_.format);
    if (to.rows < kTileRows) std::fill_n(points, kTileSize, 0);
    pack<kTileColumns>(corner.data, problem_.format, corner.column_stride, corner.row_stride, to.columns, to.rows,
                       points);
    return survey(points, kTileSize, problem_.mantissa_bits, 0, nullptr).special;
  }

  // Runs body(0 .. count-1), shared between the threads of this product.
  template <class Body>
  void each(std::int64_t count, Body&& body) {
    if (threads_ > 1) return parallel_for(threads_, count, body);
    for (std::int64_t i = 0; i < count; ++i) body(i);
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

  const MatmulProblem& problem_;
  LeftSource& left_;
  RightSource& right_;
  float* out_;
  int threads_;
  Workspace& space_;
  std::int64_t slack_;
  std::int64_t row_ = 0, column_ = 0, k_ = 0;
  int depth_ = 0;
  Encoding code_;
  Limits limits_;
  Span all_left_, all_right_;
  bool all_fast_ = false, special_points_ = false;
};

}  // namespace

TileCounts take_tile_counts() { return {counts[0].exchange(0), counts[1].exchange(0), counts[2].exchange(0)}; }

void run_product(const MatmulProblem& problem, LeftSource& left, RightSource& right, float* out, int threads) {
  thread_local Workspace space;
  if (problem.slope.data) Product<true>(problem, left, right, out, threads, space).run();
  else Product<false>(problem, left, right, out, threads, space).run();
}

}  // namespace mulfree::MF_TARGET
