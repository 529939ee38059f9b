// Register tiles of the exact derivative: sums of (slope of a product by its first factor) times a gradient. The
// slope's factor belongs to the entry of the tile, so a term has three operands: the point (its mantissa), the right
// word and the gradient on the left.
#pragma once
#include "references.hpp"
#include "tiles.hpp"

namespace mulfree::MF_TARGET {

// Vectors of a tile whose slopes are summed at a time: with 32 registers the points fit beside one column of sums.
constexpr int kSlopeVectors = MF_LANES == 16 ? 1 : kTileVectors;
constexpr int kGeneralDepth = 64;  // of a chunk at a time, so that its operands stay in the first-level cache

static_assert(kTileVectors % kSlopeVectors == 0);

// Four vector instructions a term: the exponent of (mantissa of the point + offset + right word), plus the left word.
// `mantissas`, with the offset, is a tile.
template <int Rows>
void fast_slope_tile(int depth, const std::int32_t* left, const std::int32_t* right, const std::int32_t* mantissas,
                     std::int32_t* tile) {
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

// Operands of the general loop. A term is max(min(y, high), low) + addend + sign, where y is the exponent of the slope
// and `low` and `high` are what the gradient can take without leaving the format. All are shifted down so that sums
// of magnitudes fit a word.
constexpr std::int32_t kShift = std::int32_t{1} << 30;

struct GeneralLeft {
  std::int32_t low[kGeneralDepth][kTileRows];
  std::int32_t high[kGeneralDepth][kTileRows];
  std::int32_t addend[kGeneralDepth][kTileRows];

  void prepare(int depth, const std::int32_t* raw) {
    for (int i = 0; i < depth * kTileRows; i += kLanes) {  // panels are padded to whole vectors
      const Int word = load(raw + i), magnitude = word & splat(kMagnitude);
      const Int bounded = (magnitude == 0) | (magnitude >= splat(kInf));  // the term does not depend on the slope
      const Int least = splat(kOne - kShift) - magnitude;
      store(&low[0][0] + i, bounded ? Int{} : least);
      store(&high[0][0] + i, bounded ? Int{} : least + splat(kInf));
      store(&addend[0][0] + i, bounded ? word : word - splat(kOne - kShift));
    }
  }
};

struct GeneralRight {
  struct alignas(64) Row {
    std::int32_t magnitude[kTileColumns];  // with the offset; zero and infinity are beyond every `low` and `high`
    std::int32_t sign[kTileColumns];
  };
  Row rows[kGeneralDepth];

  void prepare(int depth, const std::int32_t* raw, std::int32_t offset) {
    for (int k = 0; k < depth; ++k)
      for (int v = 0; v < kTileColumns; v += kLanes, raw += kLanes) {
        const Int word = load(raw), magnitude = word & splat(kMagnitude);
        const Int shifted = magnitude >= splat(kInf) ? splat(kInf - kStep) : magnitude + splat(offset - kShift);
        store(rows[k].magnitude + v, magnitude == 0 ? splat(INT32_MIN) : shifted);
        store(rows[k].sign + v, word & splat(kSign));
      }
  }
};

inline void mantissas_of(const std::int32_t* points, std::int32_t offset, std::int32_t* mantissas) {
  for (int i = 0; i < kTileSize; i += kLanes)
    store(mantissas + i, (load(points + i) & splat(kMantissa)) + splat(offset));
}

// Sums whose point is NaN become NaN if they have a term.
inline void spread_nans(const std::int32_t* points, int depth, const Present& present, std::int32_t* tile) {
  for (int i = 0; i < kTileRows; ++i)
    for (int v = 0; v < kTileColumns; v += kLanes) {
      Int terms{};
      for (int k = 0; k < depth; ++k)
        if (present.row(k, i)) terms |= present.right ? load(present.columns(k) + v) : splat(-1);
      const int at = i * kTileColumns + v;
      const Int point = load(points + at);
      store(tile + at, terms & ((point & splat(kMagnitude)) > splat(kInf)) ? point : load(tile + at));
    }
}

// So do those that meet a NaN or a product of zero and infinity.
inline void spread_nans(int depth, const std::int32_t* left, const std::int32_t* right, const Present& present,
                        std::int32_t* tile) {
  alignas(64) std::int32_t products[kTileColumns];
  for (int k = 0; k < depth; ++k, left += kTileRows, right += kTileColumns)
    for (int i = 0; i < kTileRows; ++i)
      if (present.row(k, i))
        finish_row(factor_of(left[i], -kOne), right, present.columns(k), products, tile + i * kTileColumns);
}

// Seven vector instructions a term: any operands whose product is not NaN. Goes on from the sums in `tile`. `mantissas`
// is a tile, without the offset. Masked: right zeros make no term, not even with an infinity.
template <bool Masked>
void general_slope_tile(int depth, const GeneralLeft& left, const GeneralRight& right,
                               const std::int32_t* mantissas, std::int32_t* tile) {
  const Int exponents = splat(~kMantissa);
  constexpr int kBlock = 4;  // rows at a time
  for (int first = 0; first < kTileRows; first += kBlock) {
    Sums<kBlock, kTileVectors> sums;
    sums.load_from(tile + first * kTileColumns);
    for (int k = 0; k < depth; ++k) {
      const GeneralRight::Row& row = right.rows[k];
#pragma GCC unroll 4
      for (int b = 0; b < kBlock; ++b) {
        const int i = first + b;
        const Int low = splat(left.low[k][i]), high = splat(left.high[k][i]), addend = splat(left.addend[k][i]);
#pragma GCC unroll 16
        for (int v = 0; v < kTileVectors; ++v) {
          const Int mantissa = load(mantissas + i * kTileColumns + v * kLanes);
          const Int slope = (mantissa + load(row.magnitude + v * kLanes)) & exponents;
          const Int term = max(min(slope, high), low) + addend + load(row.sign + v * kLanes);
          sums.at[b][v] += as_float(Masked ? (load(row.magnitude + v * kLanes) != splat(INT32_MIN)) & term : term);
        }
      }
    }
    sums.store_to(tile + first * kTileColumns);
  }
}

}  // namespace mulfree::MF_TARGET
