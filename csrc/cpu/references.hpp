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

// Which entries of two panels exist: all ones or zero each, null if all do. Those that do not are zeros in the panels
// and make no NaN.
struct Present {
  const std::int32_t *left, *right;

  Present from(int k) const {
    return {left ? left + k * kTileRows : nullptr, right ? right + k * kTileColumns : nullptr};
  }

  bool row(int k, int i) const { return !left || left[k * kTileRows + i]; }
  const std::int32_t* columns(int k) const { return right ? right + k * kTileColumns : nullptr; }
};

// What a left word does to a right word: its magnitude is put between `low` and `high`, then `addend` changes it and
// its sign, modulo 2^32 (`high` is negative where every product overflows). The last two are the products with zero and
// with positive infinity.
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
  std::int32_t finished[2 * kPartPairs][kTileColumns];  // for exceptions of the left panel and of the right one

  static constexpr std::int32_t kZeros = kPartDepth * kTileColumns;
  static constexpr std::int32_t kFinished = kZeros + kTileColumns;
};

// A left panel's words as references, and its exceptions.
struct alignas(64) LeftReferences {
  struct Exception {
    std::int16_t depth, row;  // of the left word in its part
    std::int32_t addend;      // of its factor
    std::int32_t limit;       // the only one that matters, if it is finite
  };
  struct Part {
    std::int32_t addends[kPartPairs], references[kPartPairs];
    std::vector<Exception> exceptions;  // first those that cannot overflow, then those that cannot underflow
    int small;                          // how many the first are
  };
  Part parts[kParts];

  // `bias` turns the sum of two magnitudes into that of their product.
  void prepare(int depth, const std::int32_t* raw, std::int32_t bias, const Limits& limits) {
    for (int k = 0, part = 0; k < depth; k += kPartDepth, ++part, raw += kPartPairs)
      prepare_part(std::min(kPartDepth, depth - k), raw, bias, limits, &parts[part]);
  }

 private:
  static void prepare_part(int depth, const std::int32_t* raw, std::int32_t bias, const Limits& limits, Part* part) {
    const std::int64_t least = kMin - std::int64_t{bias} - limits.low;
    const std::int64_t most = kInf - 1 - std::int64_t{bias} - limits.high;
    const Int low = splat(static_cast<std::int32_t>(std::clamp<std::int64_t>(least, kMin, kInf)));
    const Int high = splat(static_cast<std::int32_t>(std::clamp<std::int64_t>(most, 0, kInf - 1)));
    std::int32_t* references = part->references;
    for (int k = 0; k < depth; ++k) std::fill_n(references + k * kTileRows, kTileRows, k * kTileColumns);
    alignas(64) std::int32_t exceptional[kPartPairs];  // 1 if it cannot overflow, 2 if it cannot underflow
    Int found = Int{};
    for (int n = 0; n < depth * kTileRows; n += kLanes) {  // panels are padded to whole vectors
      const Int word = load(raw + n), magnitude = word & splat(kMagnitude);
      const Int regular = (magnitude >= low) & (magnitude <= high), other = ~regular & (magnitude != 0);
      store(part->addends + n, (word + splat(bias)) & regular);
      store(references + n, magnitude == 0 ? splat(PartRows::kZeros) : load(references + n));
      store(exceptional + n, other & (magnitude <= splat(-bias) ? splat(1) : splat(2)));
      found |= other;
    }
    std::int32_t small[kPartPairs + 1], large[kPartPairs + 1];  // with room for one that is overwritten
    int smalls = 0, larges = 0;
    for (int n = 0; any(found) && n < depth * kTileRows; ++n) {
      small[smalls] = large[larges] = n;
      smalls += exceptional[n] & 1, larges += exceptional[n] >> 1;
    }
    part->exceptions.resize(smalls + larges);
    part->small = smalls;
    for (int e = 0; e < smalls + larges; ++e) {
      const int pair = e < smalls ? small[e] : large[e - smalls];
      const Factor factor = factor_of(raw[pair], bias);
      part->exceptions[e] = {static_cast<std::int16_t>(pair / kTileRows), static_cast<std::int16_t>(pair % kTileRows),
                             factor.addend, e < smalls ? factor.low : factor.high};
      references[pair] = PartRows::kFinished + e * kTileColumns;
    }
  }
};

// The products of one finite left word with a right row of finite words; those that can overflow cannot underflow.
// Denormals count as zero in the sums, and the lanes of right zeros are masked.
template <bool Small>
inline void finish_row(std::int32_t addend, std::int32_t limit, const std::int32_t* right, std::int32_t* out) {
#pragma GCC unroll 4
  for (int v = 0; v < kTileColumns; v += kLanes) {
    const Int word = load(right + v), magnitude = word & splat(kMagnitude), sign = word & splat(kSign);
    if (Small) store(out + v, magnitude > splat(limit) ? word + splat(addend) : Int{});
    else store(out + v, (min(magnitude, splat(limit)) ^ sign) + splat(addend));
  }
}

// The products of any left word with any right row, of which the entries that are not `present` are zeros. Those that
// are NaN also go to the sums, where they stay: infinity times zero is NaN in a lane that is masked.
inline void finish_row(const Factor& factor, const std::int32_t* right, const std::int32_t* present, std::int32_t* out,
                       std::int32_t* sums) {
  for (int v = 0; v < kTileColumns; v += kLanes) {
    const Int word = load(right + v), magnitude = word & splat(kMagnitude), sign = word & splat(kSign);
    Int product = (max(min(magnitude, splat(factor.high)), splat(factor.low)) ^ sign) + splat(factor.addend);
    product = magnitude == 0 ? splat(factor.of_zero) : product;
    product = magnitude >= splat(kInf) ? splat(factor.of_inf) ^ sign : product;
    product = magnitude > splat(kInf) ? splat(kNan) : product;
    Int spreads = (product & splat(kMagnitude)) > splat(kInf);
    if (present) spreads &= load(present + v);
    store(sums + v, spreads ? product : load(sums + v));
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

  // `span` is that of the whole panel.
  void prepare(int depth, const std::int32_t* raw, const Span& span, const Limits& limits) {
    std::copy_n(raw, depth * kTileColumns, rows.right[0]);
    outside.clear();
    if (span.low >= limits.low && span.high <= limits.high) return;
    const Int low = splat(static_cast<std::int32_t>(limits.low));
    const Int width = splat(static_cast<std::int32_t>(limits.high - limits.low));
    for (int k = 0; k < depth; ++k) {
      Int sticks_out = Int{};
      for (int v = 0; v < kTileColumns; v += kLanes) {
        const Int magnitude = load(rows.right[k] + v) & splat(kMagnitude);
        sticks_out |= (magnitude != 0) & ~at_least_unsigned(width, magnitude - low);
      }
      if (any(sticks_out)) outside.push_back(k);
    }
  }

  // Goes on from the sums in `tile` with the terms of one part. `raw` are the left words of this part.
  void add_terms(int depth, const LeftReferences::Part& left, const std::int32_t* raw, std::int32_t bias, bool zeros,
                 bool special, const Present& present, std::int32_t* tile) {
    const int count = static_cast<int>(left.exceptions.size());
    const auto* exceptions = left.exceptions.data();
    if (special) {
      for (int e = 0; e < count; ++e)
        finish(raw, bias, exceptions[e].depth, exceptions[e].row, e, present, tile);
    } else {
      finish<true>(exceptions, 0, left.small);
      finish<false>(exceptions, left.small, count);
    }
    const std::int32_t *addends = left.addends, *references = left.references;
    alignas(64) std::int32_t own_addends[kPartPairs], own_references[kPartPairs];
    if (!outside.empty()) {
      std::copy_n(addends, depth * kTileRows, own_addends);
      std::copy_n(references, depth * kTileRows, own_references);
      addends = own_addends, references = own_references;
      int slot = count;
      for (const int k : outside)
        for (int i = 0; i < kTileRows; ++i, ++slot) {
          const int pair = k * kTileRows + i;
          if (!present.row(k, i)) continue;  // it stays zero
          finish(raw, bias, k, i, slot, present, tile);
          own_addends[pair] = 0;
          own_references[pair] = PartRows::kFinished + slot * kTileColumns;
        }
    }
    (zeros ? referenced_part<true> : referenced_part<false>)(depth, addends, references, rows, tile);
  }

 private:
  template <bool Small>
  void finish(const LeftReferences::Exception* exceptions, int first, int last) {
    for (int e = first; e < last; ++e)
      finish_row<Small>(exceptions[e].addend, exceptions[e].limit, rows.right[exceptions[e].depth], rows.finished[e]);
  }

  void finish(const std::int32_t* raw, std::int32_t bias, int k, int i, int slot, const Present& present,
              std::int32_t* tile) {
    finish_row(factor_of(raw[k * kTileRows + i], bias), rows.right[k], present.columns(k), rows.finished[slot],
               tile + i * kTileColumns);
  }
};

}  // namespace mulfree::MF_TARGET
