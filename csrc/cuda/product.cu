// Matrix products and whatever can be written as one (problem.hpp). A block computes a tile of the result, chunk by
// chunk of the depth; a thread keeps the sums of its entries in registers for a chunk, in ascending order, and adds
// them to the totals in the result.
#include "loader.hpp"

namespace mulfree::MF_TARGET {

using LeftLoader = Loader<kTileRows, MF_LEFT_PATCHES, MF_LEFT_DEEP>;
using RightLoader = Loader<kTileColumns, MF_RIGHT_PATCHES, MF_RIGHT_DEEP>;

// Number of a thread's entry i along a side of the tile. Entries come in runs of up to four words, so that a warp reads
// neighbouring runs.
template <int count, int threads>
struct Side {
  static constexpr int width = count % 4 == 0 ? 4 : count;

  static constexpr int apart(int i) { return i / width * width * threads + i % width; }  // from entry 0
  static int entry(int i, int thread) { return thread * width + apart(i); }

  static void read(std::int32_t (&out)[count], const std::int32_t* line, int thread) {
    MF_UNROLL
    for (int run = 0; run < count / width; ++run) {
      const std::int32_t* from = line + entry(run * width, thread);
      if constexpr (width == 4) {
        const Quad quad = *reinterpret_cast<const Quad*>(from);
        MF_UNROLL
        for (int i = 0; i < 4; ++i) out[run * 4 + i] = quad.words[i];
      } else {
        MF_UNROLL
        for (int i = 0; i < width; ++i) out[run * width + i] = from[i];
      }
    }
  }
};

using RowSide = Side<kRows, kThreadRows>;
using ColumnSide = Side<kColumns, kThreadColumns>;

// Slices of both operands; the signs are those of the clamped way.
struct Stage {
  Slices<kTileRows> left, left_signs;
  Slices<kTileColumns> right, right_signs;
};

struct Tile {
  std::int64_t row, column;  // its first
  int thread_row, thread_column;
  float sums[kRows][kColumns];
#if MF_SLOPES
  std::int32_t points[kRows][kColumns];
  std::int32_t point(int i, int j) const { return points[i][j]; }
#else
  std::int32_t point(int, int) const { return 0; }
#endif

  std::int64_t row_of(int i) const { return row + RowSide::entry(i, thread_row); }
  std::int64_t column_of(int j) const { return column + ColumnSide::entry(j, thread_column); }

  void clear() {
    MF_UNROLL
    for (int i = 0; i < kRows; ++i)
      MF_UNROLL
      for (int j = 0; j < kColumns; ++j) sums[i][j] = 0.0f;
  }

  // The terms of one depth.
  template <Way way>
  void add_terms(const Stage& stage, int buffer, int step, const Offset& offset) {
    std::int32_t a[kRows], b[kColumns], a_signs[kRows] = {}, b_signs[kColumns] = {};
    RowSide::read(a, stage.left.words[buffer][step], thread_row);
    ColumnSide::read(b, stage.right.words[buffer][step], thread_column);
    if constexpr (way == Way::clamped) {
      RowSide::read(a_signs, stage.left_signs.words[buffer][step], thread_row);
      ColumnSide::read(b_signs, stage.right_signs.words[buffer][step], thread_column);
    }
    MF_UNROLL
    for (int i = 0; i < kRows; ++i)
      MF_UNROLL
      for (int j = 0; j < kColumns; ++j)
        sums[i][j] = __fadd_rn(sums[i][j], term<way>(a[i], b[j], a_signs[i] ^ b_signs[j], point(i, j), offset));
  }
};

// The terms of a slice; whole ones are unrolled.
template <Way way>
inline void add_slice(Tile& tile, const Stage& stage, int buffer, int steps, const Offset& offset) {
  if (steps >= kSlice && way != Way::general) {
    MF_UNROLL
    for (int step = 0; step < kSlice; ++step) tile.add_terms<way>(stage, buffer, step, offset);
  } else {
    MF_ROLLED
    for (int step = 0; step < kSlice && step < steps; ++step) tile.add_terms<way>(stage, buffer, step, offset);
  }
}

inline void add_slice(Tile& tile, const Stage& stage, Way way, int buffer, int steps, const Offset& offset) {
  if (way == Way::fast) add_slice<Way::fast>(tile, stage, buffer, steps, offset);
  else if (!kSlopes && way == Way::clamped) add_slice<Way::clamped>(tile, stage, buffer, steps, offset);
  else add_slice<Way::general>(tile, stage, buffer, steps, offset);
}

// The terms of a chunk: while a slice is used the next one is fetched.
inline void add_chunk(Tile& tile, Stage& stage, LeftLoader& lefts, RightLoader& rights, const Code& code, int depth,
                      const Offset& offset) {
  const int slices = (depth + kSlice - 1) / kSlice;
  for (int slice = 0; slice <= slices; ++slice) {
    if (slice < slices) {
      lefts.fetch(slice);
      rights.fetch(slice);
    }
    if (slice > 0) add_slice(tile, stage, code.way, (slice - 1) % 2, depth - (slice - 1) * kSlice, offset);
    if (slice < slices) {
      lefts.store(stage.left, stage.left_signs, slice, code.way, code.left_addend, code.left_zero);
      rights.store(stage.right, stage.right_signs, slice, code.way, 0, code.right_zero);
    }
    __syncthreads();
  }
}

// The sum of a chunk without its scale.
inline float unscaled(float sum, const Code& code) {
  if (!code.floor) return sum;
  const std::int32_t word = __float_as_int(sum);
  return (word & kMagnitude) < code.floor ? 0.0f : __int_as_float(word - code.scale);
}

// What closes a total.
inline float closed(float total, float bias, bool has_bias) {
  total = __fadd_rn(total, 0.0f);  // a zero total is +0
  if (has_bias) total = __fadd_rn(total, bias);
  return total == total ? total : __int_as_float(kNan);
}

#if MF_SLOPES
// Reads the tile's points; true if any of the block's is NaN. They become mantissas plus the offset unless `words`.
inline bool load_points(const Problem& args, Tile& tile, std::int64_t start, bool words) {
  const Stored* const data = static_cast<const Stored*>(args.point.data) + start;
  MF_UNROLL
  for (int i = 0; i < kRows; ++i)
    MF_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      tile.points[i][j] = 0;
      if (tile.row_of(i) < args.rows && tile.column_of(j) < args.columns)
        tile.points[i][j] = data[offset_of(args.point.lines, tile.row_of(i)) +
                                 offset_of(args.point.depth, tile.column_of(j))];
    }
  bool nan = false;
  MF_UNROLL
  for (int i = 0; i < kRows; ++i)
    MF_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      const std::int32_t word = lawful(widened(tile.points[i][j]), static_cast<int>(args.drop));
      nan |= (word & kMagnitude) > kInf;
      tile.points[i][j] = words ? word : (mantissa(Int(word)) + Int(static_cast<std::int32_t>(args.offset))).v;
    }
  return nan;
}
#endif

// Where the tile's totals lie: in the result, or in the workspace of a split depth. If that is flat the distances of a
// thread's entries are known to the compiler.
class Totals {
 public:
  Totals(const Problem& args, const Tile& tile, std::int64_t batch, std::int64_t chunk)
      : args_(args), start_(kSplit ? args.workspace + chunk * args.rows * args.columns
                                   : args.out + batch_start(args, batch, kOut)) {
    if constexpr (kFlat) start_ += tile.column_of(0);
    MF_UNROLL
    for (int j = 0; j < kColumns; ++j) {
      const std::int64_t column = tile.column_of(j);
      if constexpr (!kFlat) columns_[j] = offset_of(args.out_columns, column);
      there_ |= static_cast<int>(column < args.columns) << j;
    }
  }

  float* row(std::int64_t row) const {
    return start_ + (kSplit ? row * args_.columns : offset_of(args_.out_rows, row));
  }
  bool has(int j) const { return there_ >> j & 1; }
  float& entry(float* row, int j) const { return row[kFlat ? ColumnSide::apart(j) : columns_[j]]; }

 private:
  const Problem& args_;
  float* start_;
  std::int64_t columns_[kFlat ? 1 : kColumns];
  int there_ = 0;  // a bit for each column of the thread
};

// Closes a row of the tile's totals.
inline void close_row(const Problem& args, Tile& tile, std::int64_t batch, int i) {
  float bias[kColumns] = {};
  if (args.bias) {
    const float* const from = args.bias + batch_start(args, batch, kBias) + tile.row_of(i) * args.bias_strides[0];
    MF_UNROLL
    for (int j = 0; j < kColumns; ++j)
      if (tile.column_of(j) < args.columns) bias[j] = from[tile.column_of(j) * args.bias_strides[1]];
  }
  MF_UNROLL
  for (int j = 0; j < kColumns; ++j) tile.sums[i][j] = closed(tile.sums[i][j], bias[j], args.bias != nullptr);
}

constexpr int kReadRows = kRows < 4 ? kRows : 4;  // whose totals are asked for together

// Adds the tile's sums to the totals, or stores them for `totals`.
inline void finish_chunk(const Problem& args, Tile& tile, const Code& code, std::int64_t batch, std::int64_t chunk,
                         std::int64_t chunks) {
  const bool adds = !kSplit && chunk > 0, closes = !kSplit && chunk + 1 == chunks;
  const Totals totals(args, tile, batch, chunk);
  MF_UNROLL
  for (int first = 0; first < kRows; first += kReadRows) {
    float before[kReadRows][kColumns];
    MF_UNROLL
    for (int i = 0; i < kReadRows; ++i) {
      const bool reads = adds && tile.row_of(first + i) < args.rows;
      float* const row = totals.row(tile.row_of(first + i));
      MF_UNROLL
      for (int j = 0; j < kColumns; ++j) {
        before[i][j] = 0.0f;
        if (reads && totals.has(j)) before[i][j] = totals.entry(row, j);
      }
    }
    MF_UNROLL
    for (int i = 0; i < kReadRows; ++i)
      MF_UNROLL
      for (int j = 0; j < kColumns; ++j)
        tile.sums[first + i][j] = __fadd_rn(before[i][j], unscaled(tile.sums[first + i][j], code));
    MF_UNROLL
    for (int i = 0; i < kReadRows; ++i) {
      if (tile.row_of(first + i) >= args.rows) continue;
      if (closes) close_row(args, tile, batch, first + i);
      float* const row = totals.row(tile.row_of(first + i));
      MF_UNROLL
      for (int j = 0; j < kColumns; ++j)
        if (totals.has(j)) totals.entry(row, j) = tile.sums[first + i][j];
    }
  }
}

// The ways of a chunk, by the spans of both panels.
inline Code code_of(const Problem& args, std::int64_t batch, std::int64_t row_panel, std::int64_t column_panel,
                    std::int64_t chunk, bool numbers) {
  const std::int64_t chunks = chunks_of(args), first = batch * (args.panels.divisor + args.column_panels);
  const Survey* spans = reinterpret_cast<const Survey*>(args.spans);
  const Span left = spans[(first + row_panel) * chunks + chunk].span();
  const Span right = spans[(first + args.panels.divisor + column_panel) * chunks + chunk].span();
  return choose_way(left, right, args.offset, numbers);
}

constexpr int kMostShared = 48 * 1024;  // of a block, without asking the driver for more
static_assert(sizeof(Stage) + sizeof(LeftLoader::Tables) + sizeof(RightLoader::Tables) <= kMostShared);

// Tiles on x, those of one panel of columns side by side; batches on z, or chunks if the depth is split.
MF_KERNEL(product, Problem, kThreads) {
  MF_SHARED Stage stage;
  MF_SHARED typename LeftLoader::Tables left_tables;
  MF_SHARED typename RightLoader::Tables right_tables;
  const int thread = static_cast<int>(threadIdx.x), drop = static_cast<int>(args.drop);
  const Offset offset(static_cast<std::int32_t>(args.offset));
  const std::int64_t chunks = chunks_of(args);
  const std::int64_t first = kSplit ? blockIdx.z : 0, stop = kSplit ? first + 1 : chunks;
  std::int64_t column_panel = blockIdx.x;
  const std::int64_t row_panel = args.panels.divide(&column_panel);
  Tile tile;
  tile.row = row_panel * kTileRows;
  tile.column = column_panel * kTileColumns;
  tile.thread_row = thread / kThreadColumns;
  tile.thread_column = thread % kThreadColumns;

  for (std::int64_t batch = kSplit ? 0 : blockIdx.z; batch < args.batches; batch += gridDim.z) {
    const Reader<MF_LEFT_PATCHES> left_reader{args.left, args.left.start + batch_start(args, batch, kLeft), drop};
    const Reader<MF_RIGHT_PATCHES> right_reader{args.right, args.right.start + batch_start(args, batch, kRight), drop};
    LeftLoader lefts(left_reader, tile.row, args.rows, left_tables);
    RightLoader rights(right_reader, tile.column, args.columns, right_tables);
    bool numbers = true;
#if MF_SLOPES
    const std::int64_t point_start = args.point.start + batch_start(args, batch, kPoint);
    numbers = !__syncthreads_or(load_points(args, tile, point_start, false));
#endif
    for (std::int64_t chunk = first; chunk < stop; ++chunk) {
      const int depth = static_cast<int>(least(kDotChunk, args.depth - chunk * kDotChunk));
      const Code code = code_of(args, batch, row_panel, column_panel, chunk, numbers);
      tile.clear();
      if (code.way != Way::empty) {
        lefts.start_chunk(chunk * kDotChunk, depth);
        rights.start_chunk(chunk * kDotChunk, depth);
        if constexpr (MF_LEFT_PATCHES || MF_RIGHT_PATCHES) __syncthreads();
#if MF_SLOPES
        if (code.way == Way::general) load_points(args, tile, point_start, true);
#endif
        add_chunk(tile, stage, lefts, rights, code, depth, offset);
#if MF_SLOPES
        if (code.way == Way::general && numbers) load_points(args, tile, point_start, false);
#endif
      }
      finish_chunk(args, tile, code, batch, chunk, chunks);
    }
  }
}

struct TotalsArgs {
  float* out;
  const float* workspace;
  const float* bias;
  std::int64_t bias_strides[2];
  std::int64_t rows, columns, chunks;
  Divider of_columns;
  Walk out_rows, out_columns;
};

constexpr int kTotalsThreads = 256;

// Adds the sums of the chunks of a split product.
MF_KERNEL(totals, TotalsArgs, kTotalsThreads) {
  const std::int64_t count = args.rows * args.columns;
  MF_ROLLED
  for (std::int64_t i = global_thread(); i < count; i += all_threads()) {
    std::int64_t row = i;
    const std::int64_t column = args.of_columns.divide(&row);
    float total = 0.0f;
    for (std::int64_t chunk = 0; chunk < args.chunks; ++chunk)
      total = __fadd_rn(total, args.workspace[chunk * count + i]);
    const float bias = args.bias ? args.bias[row * args.bias_strides[0] + column * args.bias_strides[1]] : 0.0f;
    args.out[offset_of(args.out_rows, row) + offset_of(args.out_columns, column)] =
        closed(total, bias, args.bias != nullptr);
  }
}

}  // namespace mulfree::MF_TARGET
