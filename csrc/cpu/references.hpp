// The loop for any operands, at the price of the fast one. Each left word (row i of the tile, depth k) refers to a row
// of right words and brings an addend, and a product is the sum of the two:
//
//   - Mostly the row is the packed right row k and the addend is the left word less the bias. That is exact where all
//     products of the pair (i, k) are normal floats.
//   - A left zero refers to a row of zeros.
//   - For the other pairs, the exceptions, the products are finished by the law and stored in a row of their own; the
//     addend is zero.
//   - Where the right panel has zeros, their lanes are masked for all rows at once.
//
// Which pairs are exceptions is not asked pair by pair. Limits for right magnitudes are chosen for the whole chunk
// (choose_limits). Left words that may leave the format with a right word within the limits are exceptions of their
// panel, listed once; right rows that stick out of the limits are exceptions for all left words.
#pragma once
#include <algorithm>
#include <vector>

#include "lanes.hpp"
#include "tiles.hpp"

namespace mulfree::MF_TARGET {

constexpr int kPartDepth = 64;  // of a chunk at a time, so that the finished rows stay in the nearest caches
constexpr int kParts = kDotChunk / kPartDepth;
constexpr int kPartPairs = kPartDepth * kTileRows;

static_assert(kDotChunk % kPartDepth == 0 && kPartPairs % kLanes == 0);

// What a left word does to a right word: its magnitude is put between `low` and `high`, then `addend` changes it and
// its sign. The last two are the products with zero and with positive infinity.
struct Factor {
  std::int32_t addend, low, high, of_zero, of_inf;
};

inline Factor factor_of(std::int32_t word, std::int32_t bias) {
  const std::int32_t magnitude = word & kMagnitude, sign = word & kSign;
  if (magnitude > kInf) return {0, kNan, kNan, kNan, kNan};
  if (magnitude == kInf) return {sign, kInf, kInf, kNan, kInf | sign};
  if (magnitude == 0) return {0, 0, 0, 0, kNan};
  const std::int32_t addend = magnitude + bias;
  return {addend + sign, std::max(-addend, 0), kInf - std::max(addend, 0), 0, kInf | sign};
}

// Right rows of one part of a chunk, a row of zeros, and room for the finished rows. References are distances from the
// first word.
struct alignas(64) PartRows {
  std::int32_t right[kPartDepth][kTileColumns];
  std::int32_t zeros[kTileColumns];
  std::int32_t finished[kPartPairs][kTileColumns];

  static constexpr std::int32_t kZeros = kPartDepth * kTileColumns;
  static constexpr std::int32_t kFinished = kZeros + kTileColumns;
};

// A left panel's words as references, and its exceptions.
struct alignas(64) LeftReferences {
  struct Exception {
    std::int32_t pair;  // depth in the part times kTileRows, plus the row
    Factor factor;
  };
  std::int32_t addends[kParts][kPartPairs];
  std::int32_t references[kParts][kPartPairs];
  std::vector<Exception> exceptions[kParts];

  // `bias` turns the sum of two magnitudes into that of their product.
  void prepare(int depth, const std::int32_t* raw, std::int32_t bias, const Limits& limits) {
    const std::int64_t least = kMin - std::int64_t{bias} - limits.low, most = kInf - 1 - std::int64_t{bias} - limits.high;
    const Int low = splat(static_cast<std::int32_t>(std::clamp<std::int64_t>(least, kMin, kInf)));
    const Int high = splat(static_cast<std::int32_t>(std::clamp<std::int64_t>(most, 0, kInf - 1)));
    for (int part = 0; part * kPartDepth < depth; ++part, raw += kPartPairs) {
      const int pairs = std::min(kPartDepth, depth - part * kPartDepth) * kTileRows;
      alignas(64) std::int32_t own_rows[kPartPairs], exceptional[kPartPairs], found[kPartPairs];
      for (int k = 0; k < kPartDepth; ++k) std::fill_n(own_rows + k * kTileRows, kTileRows, k * kTileColumns);
      for (int n = 0; n < pairs; n += kLanes) {  // panels are padded to whole vectors
        const Int word = load(raw + n), magnitude = word & splat(kMagnitude);
        const Int regular = (magnitude >= low) & (magnitude <= high), zero = magnitude == 0;
        const Int finished = (lane_numbers() + splat(n)) * splat(kTileColumns) + splat(PartRows::kFinished);
        store(addends[part] + n, (word + splat(bias)) & regular);
        store(references[part] + n, regular ? load(own_rows + n) : zero ? splat(PartRows::kZeros) : finished);
        store(exceptional + n, ~(regular | zero));
      }
      int count = 0;
      for (int n = 0; n < pairs; ++n) found[count] = n, count -= exceptional[n];
      exceptions[part].resize(count);
      for (int e = 0; e < count; ++e) exceptions[part][e] = {found[e], factor_of(raw[found[e]], bias)};
    }
  }
};

// The products of one left word with a right row. Products that are NaN also go to the sums, where they stay: the
// lanes of right zeros are masked, and infinity times zero is NaN.
template <bool Special>
inline void finish_row(const Factor& factor, const std::int32_t* right, std::int32_t* out, std::int32_t* sums) {
#pragma GCC unroll 4
  for (int v = 0; v < kTileColumns; v += kLanes) {
    const Int word = load(right + v), magnitude = word & splat(kMagnitude), sign = word & splat(kSign);
    Int product = (max(min(magnitude, splat(factor.high)), splat(factor.low)) | sign) + splat(factor.addend);
    if (Special) {
      product = magnitude == 0 ? splat(factor.of_zero) : product;
      product = magnitude >= splat(kInf) ? splat(factor.of_inf) ^ sign : product;
      product = magnitude > splat(kInf) ? splat(kNan) : product;
      store(sums + v, (product & splat(kMagnitude)) > splat(kInf) ? product : load(sums + v));
    }
    store(out + v, product);
  }
}

template <bool Masked>
void referenced_part(int depth, const std::int32_t* addends, const std::int32_t* references, const PartRows& rows,
                     std::int32_t* tile) {
  Sums<kTileRows, kTileVectors> sums;
  sums.load_from(tile);
  const std::int32_t* right = rows.right[0];
  for (int k = 0; k < depth; ++k, addends += kTileRows, references += kTileRows) {
    Int present[kTileVectors];
    if (Masked)
      for (int v = 0; v < kTileVectors; ++v) present[v] = load(right + k * kTileColumns + v * kLanes) != 0;
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i) {
      const std::int32_t* row = right + references[i];
#pragma GCC unroll 16
      for (int v = 0; v < kTileVectors; ++v) {
        const Int product = load(row + v * kLanes) + splat(addends[i]);
        sums.at[i][v] += as_float(Masked ? (present[v] ? product : Int{}) : product);
      }
    }
  }
  sums.store_to(tile);
}

// The part of a right panel that tiles of several left panels share.
struct RightPart {
  PartRows rows;
  std::vector<int> outside;  // depths of the rows that stick out of the limits

  void prepare(int depth, const std::int32_t* raw, const Limits& limits) {
    outside.clear();
    const Int low = splat(static_cast<std::int32_t>(limits.low));
    const Int width = splat(static_cast<std::int32_t>(limits.high - limits.low));
    for (int k = 0; k < depth; ++k) {
      Int sticks_out = Int{};
      for (int v = 0; v < kTileColumns; v += kLanes, raw += kLanes) {
        const Int word = load(raw), magnitude = word & splat(kMagnitude);
        sticks_out |= (magnitude != 0) & ~at_least_unsigned(width, magnitude - low);
        store(rows.right[k] + v, word);
      }
      if (any(sticks_out)) outside.push_back(k);
    }
  }

  // Goes on from the sums in `tile` with the terms of one part. `raw` are the left words of this part.
  void add_terms(int depth, const LeftReferences& left, int part, const std::int32_t* raw, std::int32_t bias,
                 bool zeros, bool special, std::int32_t* tile) {
    const std::int32_t *addends = left.addends[part], *references = left.references[part];
    for (const auto& [pair, factor] : left.exceptions[part])
      finish(special, factor, pair, tile);
    alignas(64) std::int32_t own_addends[kPartPairs], own_references[kPartPairs];
    if (!outside.empty()) {
      std::copy_n(addends, depth * kTileRows, own_addends);
      std::copy_n(references, depth * kTileRows, own_references);
      addends = own_addends, references = own_references;
      for (const int k : outside)
        for (int pair = k * kTileRows; pair < (k + 1) * kTileRows; ++pair) {
          finish(true, factor_of(raw[pair], bias), pair, tile);
          own_addends[pair] = 0;
          own_references[pair] = PartRows::kFinished + pair * kTileColumns;
        }
    }
    (zeros ? referenced_part<true> : referenced_part<false>)(depth, addends, references, rows, tile);
  }

 private:
  void finish(bool special, const Factor& factor, int pair, std::int32_t* tile) {
    (special ? finish_row<true> : finish_row<false>)(factor, rows.right[pair / kTileRows], rows.finished[pair],
                                                     tile + pair % kTileRows * kTileColumns);
  }
};

}  // namespace mulfree::MF_TARGET
