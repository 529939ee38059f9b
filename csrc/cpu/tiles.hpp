// Register tiles: kTileRows x kTileColumns sums of up to kDotChunk terms, accumulated in ascending order.
#pragma once
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

// Two vector instructions a product: panels are encoded so that adding words is the product (encodings.hpp). The tile
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

}  // namespace mulfree::MF_TARGET
