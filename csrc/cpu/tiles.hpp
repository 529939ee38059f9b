// Register tiles: kTileRows x kTileColumns sums of up to kDotChunk terms, accumulated in ascending order.
#pragma once
#include "scalar.hpp"
#include "simd.hpp"
#include "windows.hpp"

namespace mulfree::MF_TARGET {

// The tile fills the registers: sums, one row of right words, and two to spare.
#if MF_LANES == 16
constexpr int kTileRows = 12, kTileVectors = 2;
#elif defined(__aarch64__)
constexpr int kTileRows = 8, kTileVectors = 3;
#else
constexpr int kTileRows = 4, kTileVectors = 3;
#endif
constexpr int kTileColumns = kTileVectors * kLanes;
constexpr int kTileSize = kTileRows * kTileColumns;
// Vectors of a tile whose slopes are summed at a time: with 32 registers the points fit beside one column of sums.
constexpr int kSlopeVectors = MF_LANES == 16 ? 1 : kTileVectors;

static_assert(kTileRows % 4 == 0 && kTileColumns % 4 == 0, "panels are transposed in blocks of four");

inline Int max(Int a, Int b) { return a > b ? a : b; }
inline Int min(Int a, Int b) { return a < b ? a : b; }

// Registers for Rows x Vectors sums. (An initializer list would be written to memory first.)
template <int Rows, int Vectors>
struct Sums {
  Float at[Rows][Vectors];

  Sums() {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) at[i][v] = Float{};
  }

  void load_from(const std::int32_t* tile) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) at[i][v] = as_float(load(tile + i * kTileColumns + v * kLanes));
  }

  void store_to(std::int32_t* tile) const {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) store(tile + i * kTileColumns + v * kLanes, as_int(at[i][v]));
  }
};

// Two vector instructions a product: panels are encoded so that adding words is the product (windows.hpp). The tile
// may be cut to its first rows and vectors.
template <int Rows, int Vectors>
void fast_tile(int depth, const std::int32_t* left, const std::int32_t* right, std::int32_t* tile) {
  Sums<Rows, Vectors> sums;
  for (int k = 0; k < depth; ++k, left += kTileRows, right += kTileColumns) {
    Int words[Vectors];
    for (int v = 0; v < Vectors; ++v) words[v] = load(right + v * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < Vectors; ++v) sums.at[i][v] += as_float(words[v] + splat(left[i]));
  }
  sums.store_to(tile);
}

template <int Vectors>
inline void fast_tile_of_rows(int rows, int depth, const std::int32_t* left, const std::int32_t* right,
                              std::int32_t* tile) {
  if (rows == 1) return fast_tile<1, Vectors>(depth, left, right, tile);
  if (rows <= kTileRows / 2) return fast_tile<kTileRows / 2, Vectors>(depth, left, right, tile);
  return fast_tile<kTileRows, Vectors>(depth, left, right, tile);
}

inline void fast_tile(int rows, int columns, int depth, const std::int32_t* left, const std::int32_t* right,
                      std::int32_t* tile) {
  if (columns <= kLanes) return fast_tile_of_rows<1>(rows, depth, left, right, tile);
  if (columns <= 2 * kLanes) return fast_tile_of_rows<2>(rows, depth, left, right, tile);
  return fast_tile_of_rows<kTileVectors>(rows, depth, left, right, tile);
}

// Four: the exponent of (mantissa of the slope's point + right word), plus the left word. `mantissas` is a tile.
template <int Rows>
void fast_slope_tile(int depth, const std::int32_t* left, const std::int32_t* right, const std::int32_t* mantissas,
                     std::int32_t* tile) {
  static_assert(kTileVectors % kSlopeVectors == 0);
  const Int exponents = splat(~kMantissa);
  for (int first = 0; first < kTileVectors; first += kSlopeVectors) {
    Sums<Rows, kSlopeVectors> sums;
    Int points[Rows][kSlopeVectors];
    for (int i = 0; i < Rows; ++i)
      for (int v = 0; v < kSlopeVectors; ++v) points[i][v] = load(mantissas + i * kTileColumns + (first + v) * kLanes);
    const std::int32_t* l = left;
    const std::int32_t* r = right + first * kLanes;
    for (int k = 0; k < depth; ++k, l += kTileRows, r += kTileColumns) {
      Int words[kSlopeVectors];
      for (int v = 0; v < kSlopeVectors; ++v) words[v] = load(r + v * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 16
        for (int v = 0; v < kSlopeVectors; ++v)
          sums.at[i][v] += as_float(((points[i][v] + words[v]) & exponents) + splat(l[i]));
    }
    sums.store_to(tile + first * kLanes);
  }
}

// Left operand of the masking loop: what turns a right word into the product, and the right magnitude up to which the
// product is zero.
struct MaskingLeft {
  std::int32_t addend[kDotChunk][kTileRows];
  std::int32_t below[kDotChunk][kTileRows];
};

inline void prepare_left(int depth, const std::int32_t* raw, std::int32_t bias, MaskingLeft* out) {
  std::int32_t *addends = &out->addend[0][0], *belows = &out->below[0][0];
  for (int i = 0; i < depth * kTileRows; i += kLanes) {  // panels are padded to whole vectors
    const Int word = load(raw + i), needed = splat(kMin - bias) - (word & splat(kMagnitude));
    store(addends + i, word + splat(bias));
    store(belows + i, word == 0 ? splat(INT32_MAX) : max(needed, splat(kMin)) - splat(1));
  }
}

template <int Vectors>
void masking_strip(int depth, const MaskingLeft& left, const std::int32_t* right, std::int32_t* tile) {
  for (int first = 0; first < kTileRows; first += 4) {
    Sums<4, Vectors> sums;
    const std::int32_t* r = right;
    for (int k = 0; k < depth; ++k, r += kTileColumns) {
      Int words[Vectors], magnitudes[Vectors];
      for (int v = 0; v < Vectors; ++v) {
        words[v] = load(r + v * kLanes);
        magnitudes[v] = words[v] & splat(kMagnitude);
      }
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Int addend = splat(left.addend[k][first + i]), below = splat(left.below[k][first + i]);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
          sums.at[i][v] += as_float(magnitudes[v] > below ? words[v] + addend : Int{});
      }
    }
    sums.store_to(tile + first * kTileColumns);
  }
}

// Four vector instructions a product: finite operands whose products do not overflow. Two vectors at a time leave room
// for the magnitudes.
inline void masking_tile(int depth, const MaskingLeft& left, const std::int32_t* right, std::int32_t* tile) {
  masking_strip<2>(depth, left, right, tile);
  if constexpr (kTileVectors == 3) masking_strip<1>(depth, left, right + 2 * kLanes, tile + 2 * kLanes);
}

// Operands of the clamping loop. A product is max(min(x + y, upper), 0) + sign, all shifted down by kClampShift so
// that the sum of magnitudes fits a word. The sign is that of the right word, or its inverse where the left one is
// negative: both are stored, and the left operand holds the distance to the one it needs. In the same way a zero
// reaches an upper limit of zero. They are prepared for a part of a chunk at a time, to stay in the first-level cache.
constexpr int kClampingDepth = 64;

struct ClampingLeft {
  std::int32_t magnitude[kClampingDepth][kTileRows];
  std::int32_t sign_at[kClampingDepth][kTileRows];  // distance in words from ClampingRight::Row::magnitude
  std::int32_t upper[kClampingDepth][kTileRows];    // limit of the product: zero where the left word is zero
};

struct ClampingRight {
  struct alignas(64) Row {
    std::int32_t magnitude[kTileColumns];
    std::int32_t sign[kTileColumns];
    std::int32_t flipped[kTileColumns];
    std::int32_t upper[kTileColumns];
  };
  Row rows[kClampingDepth];
};

constexpr std::int32_t kShiftedZero = -(std::int32_t{1} << 30);
constexpr std::int32_t kShiftedInf = kInf + kShiftedZero;


inline void prepare_left(int depth, const std::int32_t* raw, std::int32_t bias, ClampingLeft* out) {
  std::int32_t *magnitudes = &out->magnitude[0][0], *signs = &out->sign_at[0][0], *uppers = &out->upper[0][0];
  for (int i = 0; i < depth * kTileRows; i += kLanes) {  // panels are padded to whole vectors
    const Int word = load(raw + i);
    store(magnitudes + i, (word & splat(kMagnitude)) + splat(bias));
    store(signs + i, splat(kTileColumns) + ((word >> 31) & splat(kTileColumns)));
    store(uppers + i, word == 0 ? splat(kShiftedZero) : splat(kShiftedInf));
  }
}

inline void prepare_right(int depth, const std::int32_t* raw, ClampingRight* out) {
  for (int k = 0; k < depth; ++k)
    for (int v = 0; v < kTileColumns; v += kLanes, raw += kLanes) {
      ClampingRight::Row& row = out->rows[k];
      const Int word = load(raw), sign = word & splat(kSign);
      store(row.magnitude + v, word & splat(kMagnitude));
      store(row.sign + v, sign - splat(kShiftedZero));
      store(row.flipped + v, (sign ^ splat(kSign)) - splat(kShiftedZero));
      store(row.upper + v, word == 0 ? splat(kShiftedZero) : splat(kShiftedInf));
    }
}

// Five vector instructions a product (seven for slopes): any finite operands. Goes on from the sums in `tile`.
// `mantissas` is a tile, null for products.
template <bool Slopes, bool Zeros>
void clamping_tile(int depth, const ClampingLeft& left, const ClampingRight& right, const std::int32_t* mantissas,
                   std::int32_t* tile) {
  const Int lower = splat(kShiftedZero), exponents = splat(~kMantissa);
  constexpr int kBlock = 4;  // rows at a time
  for (int first = 0; first < kTileRows; first += kBlock) {
    Sums<kBlock, kTileVectors> sums;
    sums.load_from(tile + first * kTileColumns);
    for (int k = 0; k < depth; ++k) {
      const ClampingRight::Row& row = right.rows[k];
#pragma GCC unroll 4
      for (int b = 0; b < kBlock; ++b) {
        const int i = first + b;
        const Int magnitude = splat(left.magnitude[k][i]);
        const std::int32_t* signs = row.magnitude + left.sign_at[k][i];
        const Int limit = splat(Zeros ? left.upper[k][i] : kShiftedInf);
#pragma GCC unroll 16
        for (int v = 0; v < kTileVectors; ++v) {
          Int y = load(row.magnitude + v * kLanes);
          if (Slopes) y = (y + load(mantissas + i * kTileColumns + v * kLanes)) & exponents;
          const Int upper = Zeros ? min(load(row.upper + v * kLanes), limit) : limit;
          const Int product = max(min(y + magnitude, upper), lower) + load(signs + v * kLanes);
          sums.at[b][v] += as_float(product);
        }
      }
    }
    sums.store_to(tile + first * kTileColumns);
  }
}

// Anything, one product at a time by the scalar law. `points` is null for products, else the raw words of the tile.
// `rows` and `columns` mark the entries of the panels that exist; null if all do.
inline void scalar_tile(int depth, const std::int32_t* left, const std::int32_t* right, const std::int32_t* points,
                        const std::int32_t* rows, const std::int32_t* columns, std::int32_t offset,
                        std::int32_t* tile) {
  for (int i = 0; i < kTileRows; ++i)
    for (int j = 0; j < kTileColumns; ++j) {
      float sum = 0;
      for (int k = 0; k < depth; ++k) {
        if ((rows && !rows[k * kTileRows + i]) || (columns && !columns[k * kTileColumns + j])) continue;
        const std::int32_t l = left[k * kTileRows + i], r = right[k * kTileColumns + j];
        const std::int32_t word = points ? mul_grad(l, points[i * kTileColumns + j], r, offset) : mul(l, r, offset);
        float term;
        std::memcpy(&term, &word, sizeof term);
        sum += term;
      }
      std::memcpy(tile + i * kTileColumns + j, &sum, sizeof sum);
    }
}

}  // namespace mulfree::MF_TARGET
