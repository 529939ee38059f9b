// Random words of counters, and dropout by them (docs/spec.md, section 8).
#pragma once
#include "arithmetic.hpp"
#include "elementwise.hpp"
#include "threefry.hpp"

namespace mulfree::MF_TARGET {

// The blocks of one group of 2 * kRandomLanes elements, side by side: each by itself is a long chain of dependent steps.
constexpr int kVectors = kRandomLanes / kLanes;

// Both words of kRandomLanes blocks from `block` on, one a lane; they do not cross a multiple of 2^32.
inline void threefry(Words (&group)[kVectors], const std::uint32_t* key, std::int64_t block) {
  for (int v = 0; v < kVectors; ++v) {
    group[v].first = (Unsigned)lane_numbers() + static_cast<std::uint32_t>(block + v * kLanes) + key[0];
    group[v].second = Unsigned{} + static_cast<std::uint32_t>(block >> 32) + key[1];
  }
  threefry_rounds(group, key);
}

inline Int dropped_or_scaled(Int x, Unsigned word, const Dropout& how, const Offset& none) {
  return mul(x, splat(how.scale), none) & (word >= how.threshold);
}

// Elements begin to end of `x`, whose first words are those of how.block; begin is a multiple of 2 * kRandomLanes.
inline void dropout(float* out, const float* x, std::int64_t begin, std::int64_t end, const Dropout& how) {
  const Offset none(0);
  const std::uint32_t key[3] = {how.key[0], how.key[1], kThreefryParity ^ how.key[0] ^ how.key[1]};
  const auto part_of_vector = [&](std::int64_t i, Unsigned word) {
    if (i >= end) return;
    const Int part = first_lanes(end - i < kLanes ? end - i : kLanes);
    store_part(out + i, part, dropped_or_scaled(load_part(x + i, part), word, how, none));
  };
  for (std::int64_t i = begin; i < end; i += 2 * kRandomLanes) {
    Words words[kVectors];
    threefry(words, key, how.block + i / 2);
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t first = i + v * kLanes, second = first + kRandomLanes;
      if (second + kLanes <= end) {
        store(out + first, dropped_or_scaled(load(x + first), words[v].first, how, none));
        store(out + second, dropped_or_scaled(load(x + second), words[v].second, how, none));
      } else {
        part_of_vector(first, words[v].first);
        part_of_vector(second, words[v].second);
      }
    }
  }
}

}  // namespace mulfree::MF_TARGET
